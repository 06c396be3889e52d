"""A condition on a step, as a person types it: `signal > 0.8 and context.symbol == "BTCUSDT"`. Pure.

    condition   test | not condition | condition and condition | condition or condition | (condition)
    test        NAME == != < <= > >= VALUE | NAME ~ "regular expression" | NAME [not] in (VALUE, …) | NAME
    VALUE       0.8  -3  1e6  "text"  'text'  true  false  null

A NAME with dots goes deep (`order.id`); `context.…` looks in what the step was given, `logs.…` in what it said,
`step.…` in its own fields (name, outcome, error, duration_ms, usage…), and any other NAME in all three. A key
that itself holds dots is found as it stands; any other key in backticks: context.`order no`.

A name may mean many values: each log has its own, and a list stands for its elements. A test holds where it
holds for *any* of them. A NAME alone holds where a value is there that is neither null nor false.

Guarantees: nothing is evaluated but this; `parse` answers or raises `WhereError`, whatever the text; `matches`
answers, whatever the step: values of different types are different (`==`, `!=`), and every other test between
them is false; true and false are no numbers.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple, NoReturn

from .exceptions import UsageError
from .record import Record

__all__ = ["Where", "WhereError", "parse"]

MAX_LENGTH: Final = 10_000  # characters of a condition
MAX_NESTING: Final = 50  # of parentheses and "not": far below what the stack of a small thread holds
MAX_PARTS: Final = 16  # of a name: a key may hold dots, so n parts are up to 2^(n-1) ways down

FIELDS: Final = (
    "name", "outcome", "started_at", "duration_ms", "id", "parent", "error", "usage", "finished_at", "traceback",
    "thread", "task", "session", "notice", "dropped", "redacted", "open",
)  # fmt: skip


class WhereError(UsageError):
    """A condition that cannot be read.

    Attributes:
        sentence: what is wrong.
        text: the condition.
        at: the place in it, from 0.
    """

    def __init__(self, sentence: str, text: str, at: int) -> None:
        self.sentence = f"{sentence} (column {at + 1})"
        self.text = text
        self.at = at
        super().__init__("\n".join([self.sentence, text, " " * at + "^"]))


class Where:
    """A condition, ready to be asked."""

    def __init__(self, text: str, test: Callable[[Record], bool]) -> None:
        self.text = text
        self._test = test

    def matches(self, record: Record) -> bool:
        """Whether the condition holds for *record*; never raises."""
        return self._test(record)

    def __repr__(self) -> str:
        return f"<Where {self.text}>"


def parse(text: str) -> Where:
    """The condition that *text* states.

    Raises:
        WhereError: with the column, and the text with a caret below it.
    """
    if len(text) > MAX_LENGTH:
        raise WhereError(f"a condition has at most {MAX_LENGTH:,} characters", text[:80], 79)
    return Where(text, _Parser(text).whole())


# What a name means in a step.


class Name(NamedTuple):
    """Where to look (`context`, `logs`, `step`, or everywhere: ""), and the ways down: each the key made of the
    first parts, and the ways that remain."""

    root: str
    parts: tuple[str, ...]

    def values(self, record: Record) -> Iterator[Any]:
        """The values that this name has in *record*, from the cheapest place to the dearest; lists as elements."""
        if self.root in ("", "step"):
            field = self.parts[0]
            if field in FIELDS:
                yield from _down(getattr(record, field), self.parts[1:])
        if self.root in ("", "context"):
            yield from _down(record.context, self.parts)
        if self.root in ("", "logs"):
            yield from _down(record.logs, self.parts)


def _down(value: Any, parts: tuple[str, ...]) -> Iterator[Any]:
    if type(value) is list:
        for element in value:
            yield from _down(element, parts)
    elif not parts:
        yield value
    elif type(value) is dict:
        for taken in range(1, len(parts) + 1):
            key = parts[0] if taken == 1 else ".".join(parts[:taken])
            if key in value:
                yield from _down(value[key], parts[taken:])


# The tests. Each takes a value of the step and the value that was typed.


def _kind(value: Any) -> str:
    return "number" if type(value) in (int, float) else type(value).__name__


def _equal(ours: Any, typed: Any) -> bool:
    return _kind(ours) == _kind(typed) and bool(ours == typed)


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    return lambda ours, typed: _kind(ours) == _kind(typed) in ("number", "str") and compare(ours, typed)


_TESTS: Final[Mapping[str, Callable[[Any, Any], bool]]] = MappingProxyType(
    {
        "==": _equal,
        "!=": lambda ours, typed: not _equal(ours, typed),
        "<": _ordered(operator.lt),
        "<=": _ordered(operator.le),
        ">": _ordered(operator.gt),
        ">=": _ordered(operator.ge),
        "~": lambda ours, typed: type(ours) is str and typed.search(ours) is not None,
        "in": lambda ours, typed: any(_equal(ours, one) for one in typed),
        "there": lambda ours, typed: ours is not None and ours is not False,
    }
)


def _any_value(name: Name, sign: str, typed: Any) -> Callable[[Record], bool]:
    test = _TESTS[sign]
    return lambda record: any(test(ours, typed) for ours in name.values(record))


def _negated(test: Callable[[Record], bool]) -> Callable[[Record], bool]:
    return lambda record: not test(record)


def _joined(tests: list[Callable[[Record], bool]], every: bool) -> Callable[[Record], bool]:
    if len(tests) == 1:
        return tests[0]
    together = all if every else any
    return lambda record: together(test(record) for test in tests)


# Reading a condition.


class _Token(NamedTuple):
    kind: str  # word, quoted, text, number, sign or end
    text: str
    at: int


_TOKEN: Final = re.compile(
    r"(?P<number>[+-]?(?:\d{1,400}(?:\.\d{0,400})?|\.\d{1,400})(?:[eE][+-]?\d{1,4})?(?![\w.]))"
    r"|(?P<word>[^\W\d][\w$-]*)|(?P<key>[\w$-]+)"
    r"""|(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|`(?P<quoted>[^`]+)`"""
    r"|(?P<sign>==|!=|<=|>=|[<>~(),.=])|(?P<space>\s+)",
    re.DOTALL,
)
_ESCAPE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_CONSTANTS: Final[Mapping[str, Any]] = MappingProxyType({"true": True, "false": False, "null": None})
_RESERVED: Final = ("and", "or", "not", "in")


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            quote = text[at] in "\"'`"
            raise WhereError("this quote is not closed" if quote else "this sign means nothing here", text, at)
        kind = found.lastgroup or ""
        if kind != "space":
            yield _Token(kind, found[kind], at)
        at = found.end()
    yield _Token("end", "", len(text))


def _unquoted(text: str) -> str:
    r"""The text between the quotes. `\"`, `\'`, `\\`, `\n`, `\t` and `\u0041` are what they are in JSON; before
    anything else a backslash is itself, so that regular expressions read as they are."""

    def said(found: re.Match[str]) -> str:
        if found[1]:
            return chr(int(found[1], 16))
        return {"n": "\n", "t": "\t", '"': '"', "'": "'", "\\": "\\"}.get(found[2], found[0])

    return _ESCAPE.sub(said, text[1:-1])


class _Parser:
    """One way through the tokens, from left to right (recursive descent)."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(_tokens(text))
        self._at = 0
        self._depth = 0

    def whole(self) -> Callable[[Record], bool]:
        test = self._either()
        if self._now.kind != "end":
            self._fail("'and' or 'or' is missing here" if self._now.text != ")" else "this ')' closes nothing")
        return test

    @property
    def _now(self) -> _Token:
        return self._tokens[self._at]

    def _next(self) -> _Token:
        token = self._now
        self._at += 1
        return token

    def _takes(self, *texts: str) -> str:
        """The next token's text, taken, where it is one of *texts*; else ""."""
        token = self._now
        if token.kind in ("word", "sign") and token.text in texts:
            self._at += 1
            return token.text
        return ""

    def _fail(self, sentence: str, token: _Token | None = None) -> NoReturn:
        raise WhereError(sentence, self._text, (token or self._now).at)

    def _either(self) -> Callable[[Record], bool]:
        tests = [self._both()]
        while self._takes("or"):
            tests.append(self._both())
        return _joined(tests, every=False)

    def _both(self) -> Callable[[Record], bool]:
        tests = [self._one()]
        while self._takes("and"):
            tests.append(self._one())
        return _joined(tests, every=True)

    def _one(self) -> Callable[[Record], bool]:
        self._depth += 1
        if self._depth > MAX_NESTING:
            self._fail(f"nested deeper than {MAX_NESTING} levels")
        test = self._negation_or_test()
        self._depth -= 1
        return test

    def _negation_or_test(self) -> Callable[[Record], bool]:
        if self._takes("not"):
            return _negated(self._one())
        if self._takes("("):
            test = self._either()
            if not self._takes(")"):
                self._fail("')' is missing here")
            return test
        return self._test()

    def _test(self) -> Callable[[Record], bool]:
        name = self._name()
        sign = self._takes("==", "!=", "<", "<=", ">", ">=", "~", "in", "not", "=")
        if sign == "=":
            self._fail("'=' is written '=='", self._tokens[self._at - 1])
        if sign == "not":
            if not self._takes("in"):
                self._fail("'in' is missing after 'not'")
            return _negated(_any_value(name, "in", self._values()))
        if sign == "in":
            return _any_value(name, sign, self._values())
        if sign == "~":
            return _any_value(name, sign, self._expression())
        return _any_value(name, sign or "there", self._value() if sign else None)

    def _name(self) -> Name:
        parts = [self._part(first=True)]
        first = self._tokens[self._at - 1]
        while self._takes("."):
            parts.append(self._part(first=False))
        if len(parts) > MAX_PARTS:
            self._fail(f"a name has at most {MAX_PARTS} parts", first)
        rooted = first.kind == "word" and parts[0] in ("context", "logs", "step") and len(parts) > 1
        name = Name(parts[0], tuple(parts[1:])) if rooted else Name("", tuple(parts))
        if name.root == "step" and name.parts[0] not in FIELDS:
            self._fail(f"a step has no field '{name.parts[0]}'; it has {', '.join(FIELDS)}", first)
        return name

    def _part(self, *, first: bool) -> str:
        token = self._next()
        reserved = first and token.text in _RESERVED
        if token.kind in ("word", "quoted") and not (reserved and token.kind == "word"):
            return token.text
        if not first and (token.kind == "key" or (token.kind == "number" and token.text.isdigit())):
            return token.text
        hint = "; a key in quotes is written in backticks: `order no`" if token.kind == "text" else ""
        self._fail(f"a name is expected here, such as signal or context.symbol{hint}", token)

    def _value(self) -> Any:
        token = self._next()
        if token.kind == "text":
            return _unquoted(token.text)
        if token.kind == "number":
            return int(token.text) if token.text.lstrip("+-").isdigit() else float(token.text)
        if token.kind == "word" and token.text in _CONSTANTS:
            return _CONSTANTS[token.text]
        hint = f': "{token.text}"' if token.kind == "word" and token.text not in _RESERVED else ""
        self._fail(f"a value is expected here: a number, true, false, null, or a text in quotes{hint}", token)

    def _values(self) -> list[Any]:
        if not self._takes("("):
            self._fail("'(' is missing here, as in name in (\"a\", \"b\")")
        values = [self._value()]
        while self._takes(","):
            values.append(self._value())
        if not self._takes(")"):
            self._fail("',' or ')' is missing here")
        return values

    def _expression(self) -> re.Pattern[str]:
        token = self._now
        value = self._value()
        if type(value) is not str:
            self._fail("a regular expression is a text in quotes", token)
        try:
            return re.compile(value)
        except (re.error, OverflowError, RecursionError) as error:
            self._fail(f"this is no regular expression: {error}", token)
