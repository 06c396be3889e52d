"""A condition that was typed means what the same words mean, holds or does not hold for any step, and never raises."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from typing import Any

import pytest

from ai_trace import where
from ai_trace.exceptions import UsageError
from ai_trace.record import Record
from tests.records import seeded

STEP: dict[str, Any] = {
    "name": "decide", "outcome": "ok", "started_at": 1.0, "duration_ms": 1500.0, "error": None,
    "usage": {"cost_usd": 0.25},
    "context": {
        "symbol": "BTCUSDT", "order": {"id": 17, "legs": [{"side": "buy"}, {"side": "sell"}]}, "tags": ["a", ["b"]],
        "gen_ai.usage.input_tokens": 12, "order no": 5, "dry": False, "price": None, "when": "2026-03-01",
        "name": "inner",
    },
    "logs": [{"_t": 1.0, "signal": 0.4, "reason": "low volume"}, {"_t": 2.0, "signal": 0.9}, "said"],
}  # fmt: skip


def holds(condition: str, step: dict[str, Any] = STEP) -> bool:
    return where.parse(condition).matches(Record.from_data(step, id="x"))


@pytest.mark.parametrize(
    "condition",
    [
        "signal > 0.8",
        "signal < 0.5",  # another log
        'context.symbol == "BTCUSDT"',
        "context.symbol == 'BTCUSDT'",
        'logs.reason ~ "volume"',
        'duration_ms > 1000 and outcome == "ok"',
        'duration_ms > 9000 or outcome == "ok"',
        'name in ("a", "decide")',
        'name not in ("a", "b")',
        'not (name == "a")',
        "not not signal > 0.8",
        "order.id == 17",
        "order.id == 17.0",
        'order.legs.side == "sell"',
        'tags == "b"',
        "gen_ai.usage.input_tokens == 12",
        "context.gen_ai.usage.input_tokens >= 12",
        "`order no` == 5",
        "usage.cost_usd <= 0.25",
        "error == null",
        "price == null",
        "dry == false",
        "dry != true",
        "symbol",
        "not dry and not price and not nothing",
        'when < "2026-04"',
        'name == "inner"',
        'step.name == "decide" and not step.name == "inner"',
        "signal > -1 and signal >= .9 and signal<1e0",
        'symbol != "ETHUSDT"',
        "symbol != 3",
        'message == "said"',
        r'when ~ "^\d{4}-03"',
        'symbol ~ "(?i)btc"',
        'signal > 5 and signal > 5 or symbol == "BTCUSDT"',  # and binds closer than or
    ],
)
def test_what_holds(condition: str) -> None:
    """Comparison, lists, depth, keys with dots and spaces, and, or, not, in, ~: for any of the values."""
    assert holds(condition)


@pytest.mark.parametrize(
    "condition",
    [
        "signal > 0.95",
        "nothing == null",
        "nothing != 1",
        "context.signal > 0",
        "logs.symbol",
        "dry",
        "price",
        "symbol == 3",
        'duration_ms == "1500.0"',
        "dry == 0",
        "dry < 1",
        'duration_ms > "a"',
        "symbol > 1",
        'duration_ms ~ "1"',
        'order == "x"',
        "order.id.deeper == 17",
        'symbol in ("btcusdt", 3, null)',
    ],
)
def test_what_does_not_hold(condition: str) -> None:
    """What is not there, is of another type, or has another value; true and false are no numbers."""
    assert not holds(condition)


@pytest.mark.parametrize(
    "text, column, says",
    [
        ("signal >", 9, "a value is expected"),
        ("a = 1", 3, "'=='"),
        ("(a == 1", 8, "')' is missing"),
        ("a == 1)", 7, "closes nothing"),
        ('a ~ "("', 5, "no regular expression"),
        ("a ~ 3", 5, "text in quotes"),
        ("a in 1", 6, "'(' is missing"),
        ("a in (1 2)", 9, "',' or ')'"),
        ("a not 3", 7, "'in' is missing"),
        ('"a" == 1', 1, "backticks"),
        ("a == foo", 6, '"foo"'),
        ("a # 1", 3, "means nothing"),
        ('a == "x', 6, "not closed"),
        ("", 1, "a name is expected"),
        ("not", 4, "a name is expected"),
        ("and == 1", 1, "a name is expected"),
        ("a. == 1", 4, "a name is expected"),
        ("a b", 3, "'and' or 'or'"),
        ("step.foo == 1", 1, "no field 'foo'"),
        ("(" * 60 + "a", 51, "deeper than 50"),
        ("not " * 60 + "a", 201, "deeper than 50"),
        (".".join("abcdefghijklmnopqr"), 1, "at most 16 parts"),
        ("a == 1" + " and a == 1" * 1000, 80, "at most 10,000"),
    ],
)
def test_a_mistake_is_a_sentence_with_its_column(text: str, column: int, says: str) -> None:
    """What cannot be read is said in a sentence, with the place, and a caret below it."""
    with pytest.raises(UsageError) as caught:
        where.parse(text)
    sentence, shown, caret = str(caught.value).split("\n")
    assert says in sentence and sentence.endswith(f"(column {column})")
    assert shown[: column - 1] == text[: column - 1] and " " * (column - 1) + "^" == caret


def test_escapes_in_a_text() -> None:
    r"""`\"`, `\\`, `\n`, `\u0041` mean what they mean in JSON; before anything else a backslash is itself."""
    step = {**STEP, "context": {"x": 'say "A"\n\\d'}}
    assert holds(r'x == "say \"\u0041\"\n\\d"', step) and holds(r"x == 'say \"A\"\n\d'", step)
    assert holds(r'x ~ "A\"\s"', step)


def test_many_conditions_in_a_row_need_no_stack() -> None:
    """A long chain of `or` is no nesting."""
    assert holds(" or ".join(["signal > 5"] * 700 + ["signal > 0.8"]))


# A condition made at random is asked of a step made at random; an evaluator of its own says what is right.

Test = Callable[[dict[str, Any]], bool]
KEYS = ("a", "b", "name", "c.d", "_t")
VALUES = (0, 1, -1.5, 2, True, False, None, "", "x", "1", "xy", [1, "x"], [], {"a": 1, "c.d": [0]}, {"c": {"d": 2}})


def found(step: dict[str, Any], name: str) -> list[Any]:
    """Every value of *name*, the plain way: all paths of the step, spelled out and compared."""

    def walk(value: Any, spelled: str) -> list[tuple[str, Any]]:
        if isinstance(value, list):
            return [pair for one in value for pair in walk(one, spelled)]
        pairs = [(spelled, value)]
        if isinstance(value, dict):
            pairs += [pair for key, one in value.items() for pair in walk(one, f"{spelled}.{key}" if spelled else key)]
        return pairs

    places = [("context", step["context"]), ("logs", step["logs"])]
    fixed = {"name": step["name"], "duration_ms": step["duration_ms"]}
    if name.partition(".")[0] in ("context", "logs", "step"):
        root, _, name = name.partition(".")
        value = fixed if root == "step" else dict(places)[root]
        return [one for spelled, one in walk(value, "") if spelled == name]
    return [one for value in (fixed, *(value for _, value in places)) for at, one in walk(value, "") if at == name]


def same(a: Any, b: Any) -> bool:
    numbers = [isinstance(one, (int, float)) and not isinstance(one, bool) for one in (a, b)]
    return bool((all(numbers) or type(a) is type(b)) and a == b)


def compared(sign: str, a: Any, b: Any) -> bool:
    if sign in ("==", "!="):
        return same(a, b) == (sign == "==")
    if isinstance(a, bool) or isinstance(b, bool):
        return False
    if not (isinstance(a, str) and isinstance(b, str)):
        if not (isinstance(a, (int, float)) and isinstance(b, (int, float))):
            return False
    return bool({"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[sign])


def made(rng: random.Random, depth: int) -> tuple[str, Test]:
    """A condition at random, and what it means."""
    kind = rng.randrange(8) if depth else rng.randrange(4)
    if kind >= 6:
        text, test = made(rng, depth - 1)
        return f"not ({text})", lambda step: not test(step)
    if kind >= 4:
        (left, a), (right, b) = made(rng, depth - 1), made(rng, depth - 1)
        if kind == 4:
            return f"({left}) and ({right})", lambda step: a(step) and b(step)
        return f"{left} or {right}", lambda step: a(step) or b(step)
    root = rng.choice(["", "", "context.", "logs."])
    name = root + rng.choice(["a", "b", "name", "c.d", "a.a", "b.c.d", "_t", "nothing"])
    scalars = [value for value in VALUES if not isinstance(value, (list, dict))]
    if kind == 0:
        value, sign = rng.choice(scalars), rng.choice(["==", "!=", "<", "<=", ">", ">="])
        return f"{name} {sign} {json.dumps(value)}", lambda step: any(compared(sign, a, value) for a in found(step, name))
    if kind == 1:
        some, no = rng.sample(scalars, 3), rng.choice(["", "not "])
        listed = ", ".join(map(json.dumps, some))
        return f"{name} {no}in ({listed})", (
            lambda step: any(same(a, b) for a in found(step, name) for b in some) != bool(no)
        )
    if kind == 2:
        pattern = rng.choice(["x", "^$", "1|y"])
        return f'{name} ~ "{pattern}"', (
            lambda step: any(isinstance(a, str) and re.search(pattern, a) for a in found(step, name))
        )
    return name, lambda step: any(a is not None and a is not False for a in found(step, name))


def a_step(rng: random.Random) -> dict[str, Any]:
    def fields() -> dict[str, Any]:
        return {key: rng.choice(VALUES) for key in rng.sample(KEYS, rng.randrange(4))}

    logs = [fields() for _ in range(rng.randrange(3))]
    return {"name": rng.choice(["x", "y"]), "duration_ms": 1.0, "context": fields(), "logs": logs}


def test_a_condition_means_what_a_plain_evaluator_says() -> None:
    """Three thousand random conditions on random steps: the same answers as an evaluator that shares no code."""
    rng = seeded()
    seen = set()
    for _ in range(3000):
        text, right = made(rng, 3)
        step = a_step(rng)
        assert right(step) is holds(text, step), (text, step)
        seen.add(right(step))
    assert {True, False} == seen


def test_any_text_is_a_condition_or_a_mistake() -> None:
    """Random signs never raise anything but `WhereError`, and what parses can be asked of any step."""
    rng = seeded()
    words = ["a", "b.c", "and", "or", "not", "in", "(", ")", ",", "==", "<", "~", '"x"', "'", "1", "-2e9", "`", ".", "é",
             "true", "\\", "\n", "\x00", "[", "1_0", "9" * 400]  # fmt: skip
    read = 0
    for _ in range(3000):
        text = rng.choice(["", " "]).join(rng.choices(words, k=rng.randrange(8)))
        try:
            condition = where.parse(text)
        except where.WhereError as error:
            assert 0 <= error.at <= len(text)
            continue
        read += 1
        for step in ({}, STEP, {"name": [1], "context": 3, "logs": "x", "usage": []}, a_step(rng)):
            assert condition.matches(Record.from_data(step, id="x")) in (True, False)
    assert read > 10
