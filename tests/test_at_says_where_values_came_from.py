"""`session.at` and `ai-trace at` say what a step knew: where it came from, how old it was, and what was
newer."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest

from ai_trace import Tracer, load
from ai_trace.provenance import Knowledge, Piece, knowledge
from ai_trace.record import Record
from ai_trace.render import origins
from ai_trace.session import Session, fold
from ai_trace.trail import Steps
from ai_trace.worth import COMMON, ORDINARY, TELLING, weight
from tests.cli_world import START, World
from tests.cli_world import step as row
from tests.records import T0, step
from tests.test_postmortem import HOSTILE

CASES: list[tuple[Any, int]] = [
    (True, COMMON), (None, COMMON), ("", COMMON), ("BUY", COMMON), (0, COMMON), (-999, COMMON), (0.5, COMMON),
    (1.0, COMMON), ({}, COMMON), ([], COMMON),
    (0.87, ORDINARY), (1000, ORDINARY), (-2500.0, ORDINARY), ("kraken", ORDINARY), ([1, 2], ORDINARY),
    (0.8712, TELLING), (123456, TELLING), (41250.37, TELLING), ("BTC/USDT-PERP", TELLING),
    ({"bid": 41250.37, "ask": 2}, TELLING),
]  # fmt: skip


def _log(seconds: float, **fields: Any) -> dict[str, Any]:
    return {"_t": T0 + seconds, **fields}


def _piece(known: Knowledge, path: str) -> Piece:
    (piece,) = (piece for piece in known.pieces if piece.path == path)
    return piece


def _story(*, newer: float = 0.31, context: dict[str, Any] | None = None) -> Session:
    """A scan, another scan 47 min later, and a decision three seconds after that."""
    return fold([
        step(1, name="market_scan", context=context or {}, logs=[_log(1, signal=0.87)]),
        step(2821, name="market_scan", context=context or {}, logs=[_log(2821, signal=newer)]),
        step(2824, name="decide", context={"signal": 0.87}),
    ])  # fmt: skip


def test_a_stale_value_is_named_with_its_age_and_the_newer_one() -> None:
    """The sentence a trace is read for: this value, from there, that old, and this one was not used."""
    signal = _piece(_story().at("last"), "signal")

    assert signal.stale and signal.origin is not None and signal.newer is not None
    assert ("market_scan", 1, 2823.0) == (signal.origin.step.name, signal.origin.number, signal.age_s)
    assert ("market_scan", 2, 0.31) == (signal.newer.step.name, signal.newer.number, signal.newer.value)
    assert "same name and value" == signal.origin.reason


def test_a_value_read_again_is_as_old_as_its_last_reading() -> None:
    """The same value from a later reading is neither stale nor old."""
    signal = _piece(_story(newer=0.87).at("last"), "signal")

    assert not signal.stale and 3.0 == signal.age_s
    assert signal.origin is not None and 1 == signal.origin.number


def test_a_newer_value_that_was_seen_too_makes_nothing_stale() -> None:
    """A step that gets the old and the new has both: it compares."""
    steps = [*_story().steps[:2], step(2824, name="decide", context={"signal": 0.87, "latest": 0.31})]

    assert [] == fold(steps).at("last").stale


def test_a_newer_value_about_something_else_makes_nothing_stale() -> None:
    """Two files measured one after the other: the second reading is not a newer one of the first."""
    steps = [
        step(1, name="measure", context={"file": "a.py"}, logs=[_log(1, risk=0.8712)]),
        step(2, name="measure", context={"file": "b.py"}, logs=[_log(2, risk=0.3155)]),
        step(3, name="decide", context={"risk": 0.8712}),
        step(4, name="measure", context={"file": "a.py"}, logs=[_log(4, risk=0.5555)]),
        step(5, name="decide", context={"risk": 0.8712}),
    ]
    session = fold(steps)

    assert [] == session.at("#3").stale
    assert ["risk"] == [piece.path for piece in session.at("#5").stale]


def test_a_reading_after_the_decision_does_not_count() -> None:
    """What came later could not be known, though its step may have begun before."""
    steps = [
        step(1, name="scan", logs=[_log(1, signal=0.87), _log(9, signal=0.31)], duration_ms=9000.0),
        step(5, name="decide", context={"signal": 0.87}),
    ]

    assert [] == fold(steps).at("last").stale


@pytest.mark.parametrize("value, expected", CASES)
def test_what_is_too_common_to_mean_anything(value: Any, expected: int) -> None:
    """The stated rule, for each kind of value."""
    assert expected == weight(value)


def test_a_common_value_is_linked_under_its_own_name_alone() -> None:
    """`retries=3` comes from `retries=3`, and never from `legs=3`; a link by name alone says so."""
    steps = [
        step(1, logs=[_log(1, legs=3, flag=True)]),
        step(2, logs=[_log(2, retries=3)]),
        step(3, context={"retries": 3, "wheels": 3, "on": True}),
    ]
    known = fold(steps).at("last")

    assert {"retries"} == {piece.path for piece in known.pieces if piece.way}
    assert "same name, a common value" == _piece(known, "retries").way[0].reason


@pytest.mark.parametrize(
    "source, used, reason",
    [
        ({"score": 0.8712}, {"signal": 0.8712}, "same value, another name"),
        ({"market": {"price": 41250.37}}, {"price": 41250.37}, "same key and value"),
        ({"market": {"count": 12}}, {"count": 12}, "same key, a common value"),
        ({"signal": 0.8712}, {"signal": 0.87}, "rounded"),
        ({"score": 0.871249}, {"signal": 0.8712}, "rounded"),
        ({"total": 2000}, {"total": 2000.0}, "same name and value"),
        ({"message": "the price is 41250.37 now"}, {"price": 41250.37}, "stood in a text"),
        ({"body": "order ORD-2024-00017 is late"}, {"order": "ORD-2024-00017"}, "part of a longer text"),
        ({"answer": "sell everything"}, {"prompt": "You said: sell everything. Why?"}, "a part of this text"),
        ({"book": {"b": [1, 2], "a": "x" * 20}}, {"book": {"a": "x" * 20, "b": [1, 2]}}, "same name and value"),
    ],
)
def test_each_link_says_why_it_was_drawn(source: dict[str, Any], used: dict[str, Any], reason: str) -> None:
    """By name and value, by value, by rounding, by a text around it, by canonical JSON."""
    known = fold([step(1, logs=[_log(1, **source)]), step(2, context=used)]).at("last")

    assert [reason] == [(*piece.way, *piece.contains)[0].reason for piece in known.pieces if piece.linked]


@pytest.mark.parametrize(
    "source, used",
    [
        ({"cpu": 0.8688}, {"signal": 0.87}),  # rounds to it, by chance
        ({"message": "id 1412503799"}, {"price": 41250.37}),
        ({"message": "41250.375 it is"}, {"price": 41250.37}),
        ({"message": "price 41250"}, {"count": 412}),
        ({"a": True}, {"b": 1000}),
        ({"text": "sho"}, {"prompt": "a sho text"}),
        ({"text": "short"}, {"prompt": "shorter texts"}),
        ({"year": 2024}, {"prompt": "on 2024-01-15"}),
        ({"message": "in 15000 ms"}, {"qty": 500}),
        ({"message": "500 " + "of many words " * 100}, {"qty": 500}),
    ],
)
def test_no_link_is_guessed(source: dict[str, Any], used: dict[str, Any]) -> None:
    """What only looks alike is not linked, and is named so."""
    known = fold([step(1, logs=[_log(1, **source)]), step(2, context=used)]).at("last")

    assert [*used] == [piece.path for piece in known.new]


def _order() -> Session:
    """A plan around a price, a question to a model, its answer, and an order made of it."""
    plan = {"symbols": ["DOGE", "SHIB"], "budget": 1234.5}
    question = {"prompt": "DOGE costs 0.08123 now; buy with 1234.5?"}
    return fold([
        step(1, name="plan", context=plan, duration_ms=9000.0),
        step(2, 1, name="fetch", context={"symbol": "DOGE"}, logs=[_log(2, price=0.08123)]),
        step(3, 1, name="ask", context=question, logs=[_log(3, answer="BUY 500 DOGE")]),
        step(4, 1, name="order", context={"symbol": "DOGE", "qty": 500, "limit": 0.0812, "cost": 1234.5}),
    ])  # fmt: skip


@pytest.mark.parametrize(
    "word, path, said",
    [
        ("fetch", "symbol", "was given to plan #1 (around it), in symbols[0], 1.00 s before"),
        ("ask", "prompt", "contains price 0.08123 of fetch #2, budget 1234.5 of plan #1, symbols[0] DOGE of plan #1"),
        ("order", "qty", "a number in the text answer of ask #3, 1.00 s before"),
        ("order", "limit", "rounded from price = 0.08123 of fetch #2, 2.00 s before"),
        ("order", "cost", "was given to plan #1 (around it), in budget, 3.00 s before, then stood in the text prompt of ask #3, 1.00 s before"),
    ],
)
def test_a_value_is_linked_to_the_steps_around_and_to_texts(word: str, path: str, said: str) -> None:
    """What was given to an enclosing step, stands in a short text shortly before, or is mentioned in a prompt."""
    assert said == origins.sentence(_piece(_order().at(word), path), str, str)


def test_asked_for_all_steps_at_once_the_answers_are_the_same() -> None:
    """What one step is told does not depend on what the others seek."""
    session = _order()
    together = knowledge(Steps(session.steps, session.path_to), session.steps)

    assert [session.at(one).to_dict() for one in session.steps] == [together[one].to_dict() for one in session.steps]


def test_a_value_equal_under_another_name_is_not_said_to_come_from_there() -> None:
    """Name and value: it came from there; the value alone: it is the same value."""
    known = fold([step(1, name="fetch", logs=[_log(1, price=0.08123)]), step(3, context={"limit": 0.08123})]).at("last")

    assert "same value as price of fetch #1, 2.00 s before" == origins.sentence(known.pieces[0], str, str)


def test_a_small_number_in_a_text_of_long_ago_is_chance() -> None:
    """Only of the last three steps."""
    for between, linked in ((2, True), (3, False)):
        steps = [step(n, name="idle") for n in range(2, 2 + between)]
        session = fold([step(1, logs=[_log(1, answer="BUY 500")]), *steps, step(9, context={"qty": 500})])
        assert linked == _piece(session.at("last"), "qty").linked


def test_three_digits_that_agree_are_linked_nearby_and_never_called_stale() -> None:
    """Under another name, from 20 steps back; a newer one under that name proves nothing."""
    for between, linked in ((19, True), (20, False)):
        steps = [step(n, name="scan", logs=[_log(n, price=n + 0.5)]) for n in range(2, 2 + between)]
        session = fold([step(1, logs=[_log(1, price=0.08123)]), *steps, step(99, context={"limit": 0.0812})])
        piece = _piece(session.at("last"), "limit")
        assert (linked, False) == (piece.linked, piece.stale)


def test_a_text_that_mentions_much_names_ten() -> None:
    """Bounded, however much of what was seen stands in it; a thousands comma is no other number."""
    values = {f"k{n}": 1234 + n for n in range(30)}
    prompt = " ".join(f"{value:,}" for value in values.values())
    known = fold([step(1, logs=[_log(1, **values)]), step(2, context={"prompt": prompt})]).at("last")

    assert [f"k{n}" for n in range(10)] == [seen.path for seen in _piece(known, "prompt").contains]


def test_a_value_is_followed_through_its_names_and_forms() -> None:
    """From the text it was read in, over its full precision, to the rounded number that was used."""
    steps = [
        step(1, name="fetch", logs=[_log(1, body="last trade at 41250.3712 USD")]),
        step(2, name="parse", logs=[_log(2, price=41250.3712)]),
        step(3, name="quote", logs=[_log(3, offer=41250.3712)]),
        step(4, name="decide", context={"offer": 41250.3712}),
    ]
    way = _piece(fold(steps).at("last"), "offer").way

    assert ["fetch", "parse", "quote"] == [seen.step.name for seen in way]
    assert ["stood in a text", "same value, another name", "same name and value"] == [seen.reason for seen in way]


def test_a_newer_value_under_the_name_it_was_read_by_counts() -> None:
    """Read as `score`, used as `signal`: a later `score` makes it stale."""
    steps = [
        step(1, name="scan", logs=[_log(1, score=0.8712)]),
        step(2, name="scan", logs=[_log(2, score=0.3112)]),
        step(3, name="decide", context={"signal": 0.8712}),
    ]
    newer = _piece(fold(steps).at("last"), "signal").newer

    assert newer is not None and ("score", 0.3112) == (newer.path, newer.value)


def test_the_contexts_around_a_step_are_looked_at_too() -> None:
    """A limit given to the run is old news where a newer one was logged since."""
    steps = [
        step(1, name="run", context={"limit": 2500.5}, duration_ms=9000.0),
        step(2, 1, name="risk_desk", logs=[_log(2, limit=1000.25)]),
        step(3, 1, name="decide", context={"side": "long"}),
    ]
    known = fold(steps).at("last")

    assert "around" == _piece(known, "limit").where
    assert [] == known.stale, "given to the run itself: nowhere before, so no older reading"
    assert {"limit", "side"} == {piece.path for piece in known.new}


def test_a_step_that_logs_what_its_kind_logs_has_read_it_anew() -> None:
    """Three scans with a reading each: none of them decides on an old one."""
    values = [0.8712, 0.3112, 0.8712]
    session = fold(step(n, name="scan", logs=[_log(n, signal=value)]) for n, value in enumerate(values))

    assert [[], [], []] == [session.at(record).stale for record in session.steps]


def test_of_a_structure_that_came_whole_the_parts_are_not_told_again() -> None:
    """One line for the order book, not a hundred; where it did not come whole, its parts are told."""
    book = {"bids": [41250.37, 41249.12], "asks": [41251.05]}
    whole = fold([step(1, logs=[_log(1, book=book)]), step(2, context={"book": book})]).at("last")
    apart = fold([step(1, logs=[_log(1, best=41251.05)]), step(2, context={"book": book})]).at("last")

    assert ["book"] == [piece.path for piece in whole.pieces]
    assert ["book.asks[0]"] == [piece.path for piece in apart.known]


@pytest.mark.parametrize(
    "word, name",
    [("last", "d"), ("last-error", "c"), ("#2", "b"), ("b#1", "b"), ("b#2", "b"), ("b#-1", "b"), ("c", "c"),
     ("0000000000000001", "a"), ("#-4", "b")],
)  # fmt: skip
def test_a_step_is_named_as_people_do(word: str, name: str) -> None:
    """By place, by name and place, by id, as the last one, or the last that failed."""
    failed = {"outcome": "error", "error": "no"}
    steps = [step(1, name="a", **failed), step(2, 1, name="b"), step(3, name="b"), step(4, name="c", **failed),
             step(5, name="d")]  # fmt: skip

    assert name == fold(steps).at(word).step.name


def test_a_word_that_means_no_one_step_is_an_error() -> None:
    """Neither a wrong one nor one that fits several is guessed at."""
    session = fold([step(1, name="a"), step(2, name="a")])
    for word in ("a", "0", "#3", "#0", "a#3", "nobody", "", "last-error"):
        with pytest.raises(KeyError):
            session.at(word)


def test_values_of_any_kind_are_answered() -> None:
    """Whatever stands in a trace, `at` ends and its answer is JSON."""
    values: list[Any] = [None, True, 10**400, -0.0, 1e300, 5e-324, "\ud800", "x" * 300_000, "é" * 13, [[[]]], {"": {}},
                         {"a.b": [1, {"c[0]": 2}]}, list(range(500))]  # fmt: skip
    steps = [step(n, context={f"k{n}": value, "k": value}, logs=[_log(n, k=value)]) for n, value in enumerate(values)]
    session = fold([*steps, step(99, started_at=None, context={"k": values})])
    for record in session.steps:
        json.dumps(session.at(record).to_dict())


def test_a_reading_from_the_recorder_itself(tmp_path: Path) -> None:
    """From the tracer to the sentence, over real files."""
    with Tracer("trader", trace_dir=str(tmp_path)) as tracer:
        for signal in (0.87, 0.31):
            with tracer.step("market_scan") as scan:
                scan.log(signal=signal)
        with tracer.step("decide", signal=0.87) as decide:
            decide.log(action="BUY")
    known = load(tracer.path).at("decide#1")

    assert ["signal"] == [piece.path for piece in known.stale]
    assert ["action"] == [piece.path for piece in known.new]


# The command


@pytest.fixture(name="world")
def fixture_world(tmp_path: Path) -> World:
    world = World(tmp_path / "traces")
    scan = {"context": {"market": "BTC"}, "duration_ms": 50.0}
    world.session(steps=[
        row("market_scan", logs=[{"_t": START, "signal": 0.87}], started_at=START, **scan),
        row("market_scan", logs=[{"_t": START + 2820, "signal": 0.31}], started_at=START + 2820, **scan),
        row("decide", "error", context={"signal": 0.87, "note": "\x1b[31mred"}, started_at=START + 2823, error="no"),
    ])  # fmt: skip
    return world


def test_the_command_says_it_in_a_sentence_stale_ones_first(world: World) -> None:
    """What, from where, how old, what was newer, and that it was not used."""
    done = world.call("at", "last-error")

    assert (0, "") == (done.code, done.err)
    assert "signal = 0.87\n    came from market_scan #1, 47 m 3 s before\n" in done.out
    assert "STALE: a newer signal = 0.31 was logged by market_scan #2, 3.00 s before and not used" in done.out
    assert done.out.index("STALE") < done.out.index("Not linked to an earlier step:")
    assert "\\x1b[31mred" in done.out and "\x1b" not in done.out


def test_the_command_answers_in_json(world: World) -> None:
    """One document, the stale value first, each link with its reason."""
    found = json.loads(world.call("at", "#3", "latest", "--json").out)

    assert {"number": 3, "name": "decide"}.items() <= found["step"].items()
    assert (1, "signal", True, 2823.0) == (found["stale"], *(found["values"][0][key] for key in ("path", "stale", "age_s")))
    assert "same name and value" == found["values"][0]["way"][0]["reason"]


def test_damage_is_said_on_standard_error_and_counted_in_json(world: World, tmp_path: Path) -> None:
    """A value without source, or a step in one run alone, may stand in a line that cannot be read."""
    good = next(world.path.glob("*.jsonl"))
    bad = tmp_path / "bad.jsonl"
    bad.write_bytes(good.read_bytes().replace(b'{"name"', b'{"nam\x00', 1))

    warned = f"1 damaged place (ai-trace verify {bad})\n"
    assert f"ai-trace: the session has {warned}" == world.call("at", "last", str(bad)).err
    assert f"ai-trace: A has {warned}" in world.call("diff", str(bad), str(good)).err
    assert f" has {warned}" in world.call("diff", "--baseline", str(good), str(bad)).err
    assert 1 == json.loads(world.call("at", "last", str(bad), "--json").out)["damage"]
    found = json.loads(world.call("diff", str(bad), str(good), "--json").out)
    assert (1, 0) == (found["a"]["damage"], found["b"]["damage"])


def test_nothing_recorded_can_act_on_the_terminal(tmp_path: Path) -> None:
    """Names, keys and values of a stranger, stale or new: one line each, and no control character."""
    world = World(tmp_path / "traces")
    world.session(id="20260224_061320", steps=[row("x", context={"k": 1}, started_at=START + 2)])
    for hostile in HOSTILE:
        steps = [
            row(hostile, logs=[{"_t": START, hostile: f"old {hostile}"}]),
            row(hostile, logs=[{"_t": START + 1, hostile: f"new {hostile}"}], started_at=START + 1),
            row("x", context={hostile: f"old {hostile}", "k" + hostile: {hostile: [1]}}, started_at=START + 2),
        ]
        world.session(steps=steps)
        told = world.call("at", "last", COLUMNS="70").out
        told += "".join(world.call("diff", "@-1", "latest", COLUMNS=wide).out for wide in ("70", "140"))
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202e\ud800]", told)


@pytest.mark.parametrize("word, said", [("market_scan", "means 2 steps"), ("nope", "no step 'nope'"), ("#9", "no step '#9'")])
def test_the_command_helps_with_a_wrong_word(world: World, word: str, said: str) -> None:
    """Exit code 1, and what it may have been."""
    done = world.call("at", word)

    assert (1, "") == done[:2] and said in done.err


def test_view_takes_the_same_words(world: World) -> None:
    """`view --step last-error` shows that step alone."""
    assert ["decide"] == [json.loads(line)["name"] for line in world.call("view", "--step", "last-error", "--jsonl").out.splitlines()]


def test_the_work_grows_with_the_length_of_the_trace_alone() -> None:
    """Each step is read once for a question, however many values were asked for; twice where a name changed."""
    read = 0

    class Counted(Record):
        __slots__ = ()

        @property
        def context(self) -> dict[str, Any]:
            nonlocal read
            read += 1
            return super().context

    source = random.Random(7)
    steps = [
        Counted.from_data({**row("scan", started_at=START + n, logs=[{"_t": START + n, "signal": source.random()}])}, id=str(n))
        for n in range(300)
    ]
    fields = {f"k{n}": source.random() for n in range(50)} | {"signal": 0.123456}
    decide = Counted.from_data(row("decide", started_at=START + 999, context=fields), id="d")
    session = fold([*steps, decide])
    read = 0
    session.at("last")

    assert 301 <= read <= 2 * 301 + 10
