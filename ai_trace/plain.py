"""Any Python value made plain, bounded JSON data: exact `dict` with `str` keys, `list`, `str`, `int`, finite
`float`, `bool`, `None`. This is the slow, thorough path; what is plain already need not come here.

Promises: no `Exception` leaves `plain`, whatever a value's own code does (`KeyboardInterrupt`, `SystemExit`
and their kind belong to the app and pass). The result is a copy, at most `limits.step_bytes` of compact JSON
(for limits over 1 KiB), however often a value holds itself or shares its parts, and nests at most
`limits.depth` containers (a mark may add two). Nothing is iterated that is not known here; of a foreign
object only `__repr__` or `__str__` runs. The walk is a loop: a dozen frames, and no C stack for depth.

| value | form |
|---|---|
| str, bool, None, int, finite float | itself |
| NaN, infinities | `"<NaN>"` `"<Infinity>"` `"<-Infinity>"` |
| int past 4,300 digits | `"<int of 5001 digits: 0x1f…>"` |
| subclass of str, int, float, bytes, dict, list, date… with its own `__str__` or `__repr__` | that text |
| … without | as the class it derives from |
| Enum (IntEnum, StrEnum, Flag) | its value |
| dict, OrderedDict, defaultdict, Counter, mappingproxy, UserDict | object |
| SimpleNamespace, `argparse.Namespace`, `os.environ` | object |
| list, tuple, deque, `array.array`, the views of a dict | list |
| set, frozenset | list, numbers first, then by JSON text |
| NamedTuple, dataclass, pydantic model | object of its fields (`"<hidden>"`: `repr=False`, `exclude=True`); \
with a hand-written `__repr__`, that text |
| bytes, bytearray, memoryview | `{"$bytes": n, "text": …}` where UTF-8, else `{"$bytes": n, "base64": …}`, \
past 4 KiB its head and `"$cut": {"bytes": n, "sha256": …}` |
| datetime, date, time | ISO 8601, a naive second hour with ` (fold=1)`; timedelta `"90.5 s"` |
| Decimal, Fraction, UUID, paths, IP addresses, time zones | `str(x)` |
| exception | `{"type", "message" or "args", "notes", "cause" or "context", "exceptions"}`, where they apply |
| class, module | `"<class 'm.Name'>"`, `"<module 'm'>"` |
| numpy, pandas, polars, torch | see `arrays.py` |
| anything else (functions, locks, files, generators, patterns…) | its own `__repr__`, else `__str__`, \
else `"<m.Name object>"`; memory addresses left out |

Marks: `"<cycle>"`, `"<deeper>"`, `"<changing>"` (another thread changed it, twice),
`"<unprintable Foo: KeyError>"` (its own code raised), `"<unrecorded: MemoryError>"` (no room for any of it).
A list cut short ends with `{"$cut": n}`, an object with the key `"$cut"`: n items left out. A long text is
`{"$cut": {"chars": n, "sha256": …}, "text": head}`, n and the hash (of its UTF-8; up to 64 Mi characters) of
the whole. A key that is no str is the JSON text of its plain form; past 1,000 characters it is cut with its
length; one that is taken already says its type: `"1 (int)"`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from json.encoder import encode_basestring_ascii
from typing import Any, Final

from .arrays import KNOWN as ARRAYS
from .forms import BUILTIN, CONTAINERS, KNOWN, Changed, Parts, fields_of
from .forms import full_name, lineage, name_of, said, unprintable, vars_of
from .record import LIMITS, Limits

__all__ = ["plain"]

KEY_CHARS: Final = 1_000
HOPS: Final = 8  # from a value to its form, to the form of that (an Enum whose value is an Enum…)
HASHED_CHARS: Final = 64 * 1024 * 1024  # about 0.1 s
CONTAINER_COST: Final = 64  # bytes charged for a list or dict: near what an empty one takes in memory
SCALAR_COST: Final = 8  # at least, so that a budget bounds the time as well
MARK_ROOM: Final = 512  # bytes of the budget kept for the value that ends it, and its mark
SLACK: Final = 128  # bytes that one key or one scalar may take of that room
DIGITS: Final = 4_300  # json.loads refuses longer integers, CPython 3.11 and the security fixes of 3.10
BITS_PER_DIGIT: Final = 3.321928  # log2(10), rounded down
_SLICE: Final = 1024 * 1024  # characters hashed or measured at once

_NAMED: Final = {**KNOWN, **ARRAYS}


def plain(value: Any, limits: Limits = LIMITS) -> Any:
    """*value* as plain JSON data, within *limits*; never raises an `Exception`."""
    try:
        return _Walk(limits).run(value)
    except Exception as error:  # no frames or no memory left for more than this
        return _UNRECORDED.get(type(error).__name__, "<unrecorded>")


_UNRECORDED: Final = {name: f"<unrecorded: {name}>" for name in ("RecursionError", "MemoryError")}


class _Open:
    """A container in the making: what is left to walk of it, and where it goes."""

    __slots__ = ("out", "parts", "at", "held", "taken")

    def __init__(self, out: Any, parts: Parts, held: list[Any]) -> None:
        self.out = out
        self.parts = parts
        self.at = 0
        self.held = held  # the objects it stands for: alive until it is closed, so that no id is used twice
        self.taken: dict[str, int] = {}


class _Walk:
    """One value on its way; `left` is what remains of the budget in bytes."""

    def __init__(self, limits: Limits, inside_key: bool = False) -> None:
        self.limits = limits
        self.left = limits.step_bytes - MARK_ROOM
        self.inside_key = inside_key
        self.path: set[int] = set()

    def run(self, value: Any) -> Any:
        root: list[Any] = []
        stack = [_Open(root, Parts([value], 1), [])]
        while stack:
            inner = self.fill(stack[-1], len(stack))
            if inner is None:
                self.close(stack.pop())
            else:
                stack.append(inner)
        return root[0]

    def fill(self, outer: _Open, depth: int) -> _Open | None:
        """Walk on in *outer* until it is done (None) or holds a container to go into."""
        items, keys, out = outer.parts.items, outer.parts.keys, outer.out
        while outer.at < len(items) and (self.left > 0 or depth == 1):
            key = None if keys is None else self.key(keys[outer.at], outer)
            if keys is not None and key is None:
                break
            made = self.guarded(items[outer.at], depth)
            inner = made if type(made) is _Open else None
            outer.at += 1
            if key is None:
                out.append(made if inner is None else inner.out)
            else:
                out[key] = made if inner is None else inner.out
            if inner is not None:
                return inner
        return None

    def close(self, done: _Open) -> None:
        if done.parts.unordered:
            _sort(done.out)
        left_out = done.parts.total - done.at
        if left_out > 0:
            if done.parts.keys is None:
                done.out.append({"$cut": left_out})
            else:
                done.out[_free("$cut", "cut", done)] = left_out
        self.path.difference_update(map(id, done.held))

    def guarded(self, value: Any, depth: int) -> Any:
        try:
            return self.made(value, depth)
        except Changed:
            return "<changing>"
        except Exception as error:
            return unprintable(value, error)

    def made(self, value: Any, depth: int) -> Any:
        """A scalar, or an `_Open` to be filled."""
        held: list[Any] = []
        while len(held) <= HOPS:
            kind = type(value)
            if kind is str:
                return self.text(value)
            if kind is int or kind is float or kind is bool or value is None:
                return self.scalar(value, kind)
            if kind is Parts:
                return self.text("<deeper>") if depth > self.limits.depth else self.opened(value, held)
            if id(value) in self.path or (held and any(value is one for one in held)):
                return self.text("<cycle>")
            held.append(value)
            value = _plainer(value, self.limits.items)
        return self.text("<deeper>")

    def opened(self, parts: Parts, held: list[Any]) -> _Open:
        self.left -= CONTAINER_COST
        self.path.update(map(id, held))
        return _Open([] if parts.keys is None else {}, parts, held)

    def scalar(self, value: Any, kind: Any) -> Any:
        if kind is int:
            cost = max(SCALAR_COST, value.bit_length() // 3 + 3)
            if cost > max(self.left, SLACK) or value.bit_length() > _most_bits():
                return self.text(_tagged(value))
            self.left -= cost
        elif kind is float:
            self.left -= 26  # "-2.2250738585072014e-308" with its comma
            if value != value:
                return "<NaN>"
            if value == _INFINITY or value == -_INFINITY:
                return "<Infinity>" if value > 0 else "<-Infinity>"
        else:
            self.left -= SCALAR_COST
        return value

    def text(self, text: str) -> Any:
        """*text*, or its head under a mark where it is past the limit or the rest of the budget."""
        if len(text) <= min(self.limits.text, max(self.left, SLACK)):
            cost = max(_cost(text) + 1, SCALAR_COST)
            if cost <= max(self.left, SLACK):
                self.left -= cost
                return text
        room = max(self.left - CONTAINER_COST, 4)
        if self.limits.text > room:
            room //= 2  # the other half is for what comes after it
        head = text[: min(self.limits.text, room - 2)]
        while (cost := _cost(head)) > room and head:
            head = head[: len(head) * room * 15 // (cost * 16)]
        self.left -= 3 * CONTAINER_COST + cost
        return {"$cut": _whole(text), "text": head}

    def key(self, key: Any, outer: _Open) -> str | None:
        """The text of a key, not yet taken in *outer*; None where the budget has no room for it."""
        try:
            text = key if type(key) is str else self.key_text(key)
        except Exception as error:
            text = unprintable(key, error)
        if len(text) > KEY_CHARS:
            text = f"{text[:KEY_CHARS]}… ({len(text)} chars)"
        text = _free(text, name_of(type(key)), outer)
        cost = _cost(text) + 2
        if cost > max(self.left, SLACK):
            self.left = 0
            return None
        self.left -= cost
        return text

    def key_text(self, key: Any) -> str:
        kind = type(key)
        if kind is bytes:
            return repr(key[: KEY_CHARS + 1])
        if kind is int and key.bit_length() <= 64:  # as below, a hundred times as fast
            return str(key)
        if self.inside_key and kind is not int and kind is not float and kind is not bool and key is not None:
            return f"<{full_name(kind)}>"  # a key within a key within a key… may have no end
        small = Limits(depth=8, items=100, text=2 * KEY_CHARS, step_bytes=8 * KEY_CHARS)
        made = _Walk(small, inside_key=True).run(key)
        return made if type(made) is str else json.dumps(made, ensure_ascii=False)


_INFINITY: Final = float("inf")


def _plainer(value: Any, most: int) -> Any:
    """The form of a value that is no scalar: `Parts`, a text, or a value that is one step plainer."""
    kind = type(value)
    if id(kind) in CONTAINERS:
        return CONTAINERS[id(kind)](value, kind, most)
    line = lineage(kind)
    for base in line:  # first of all: `class Color(str, Enum)` has str before Enum in its line
        if _named(base) is _ENUM:
            return _ENUM(value, base)
    for base in line:
        if id(base) in CONTAINERS:
            fields = fields_of(value)
            return CONTAINERS[id(base)](value, base, most) if fields is None else fields
        form = BUILTIN.get(id(base)) or _named(base)
        if form is not None:
            return form(value, base)
    fields = fields_of(value)
    return said(value) if fields is None else fields


_ENUM: Final = KNOWN["enum.Enum"]


def _named(klass: Any) -> Any:
    """The form for a class of that name, where it is the very one that its loaded module holds; else None."""
    name = full_name(klass)
    form = _NAMED.get(name)
    if form is None:
        return None
    module, _, qualname = name.rpartition(".")
    for place in (module, "_" + module):  # a test that freezes time puts its own class in `datetime`
        loaded = sys.modules.get(place)
        if loaded is not None and vars_of(loaded).get(qualname) is klass:
            return form
    return None


def _free(text: str, label: str, outer: _Open) -> str:
    """*text*, or where it is taken in *outer*, with the *label* of what it was: "1 (int)", "1 (int 2)"."""
    free, count = text, outer.taken.get(text, 0)
    while free in outer.out:
        count += 1
        free = f"{text} ({label})" if count == 1 else f"{text} ({label} {count})"
    outer.taken[text] = count
    return free


def _sort(items: list[Any]) -> None:
    try:
        items.sort(key=_rank)
    except Exception:  # no frames or memory left for the texts: the order of the set is as good as any
        pass


def _rank(made: Any) -> tuple[int, Any, str]:
    if type(made) is int or type(made) is float:
        return (0, made, "")
    return (1, 0, json.dumps(made))


def _most_bits() -> int:
    digits = getattr(sys, "get_int_max_str_digits", int)()  # 0: no limit here, but one where it is read
    return int(min(digits or DIGITS, DIGITS) * BITS_PER_DIGIT)


def _tagged(number: int) -> str:
    """The size and the first 64 bits of an integer that no decimal text can be made of."""
    bits = number.bit_length()
    digits = int(bits / BITS_PER_DIGIT) + 1
    if bits < 1 << 18 and abs(number) < 10 ** (digits - 1):
        digits -= 1
    sign = "-" if number < 0 else ""
    return f"<int of {digits} digits: {sign}0x{abs(number) >> max(bits - 64, 0):x}…>"


def _cost(text: str) -> int:
    """The bytes of *text* as ASCII JSON with its quotes; in slices: it may need twelve a character."""
    if len(text) <= _SLICE:
        return len(encode_basestring_ascii(text))
    return 2 + sum(len(encode_basestring_ascii(part)) - 2 for part in _slices(text))


def _whole(text: str) -> dict[str, Any]:
    if len(text) > HASHED_CHARS:
        return {"chars": len(text)}
    from hashlib import sha256

    digest = sha256()
    for part in _slices(text):
        digest.update(part.encode("utf-8", "surrogatepass"))
    return {"chars": len(text), "sha256": digest.hexdigest()}


def _slices(text: str) -> Iterator[str]:
    return (text[at : at + _SLICE] for at in range(0, len(text), _SLICE))
