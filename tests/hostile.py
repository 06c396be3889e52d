"""Values that fight back: what an agent may hand to a recorder by accident or out of malice.

`HOSTILE` is a list of (name, factory). A factory is cheap (under 50 ms and 50 MB), builds a new value at each
call and leaves nothing behind; what the value does when it is touched is its own affair, but never blocks.
"""

from __future__ import annotations

import array
import asyncio
import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import io
import itertools
import pathlib
import re
import sys
import threading
import types
import uuid
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from unittest import mock

__all__ = ["HOSTILE", "SECRET", "deep"]

SECRET = "hunter2-do-not-show"
"""The characters that the masking values hold and that no record of them may show."""


def _raises(*args: Any) -> Any:
    raise RuntimeError("hostile")


def _recurses(*args: Any) -> Any:
    raise RecursionError("hostile")


def _out_of_memory(*args: Any) -> Any:
    raise MemoryError


def _five(*args: Any) -> Any:
    return 5


def _huge(*args: Any) -> Any:
    return "x" * 20_000_000


def _endless(self: Any) -> str:
    return repr(self)


def _always_true(*args: Any) -> Any:
    return True


def _foe(**methods: Any) -> Callable[[], Any]:
    """A factory of instances of a class `Foe` with these methods."""
    return lambda: type("Foe", (), methods)()


def _foes() -> Iterator[tuple[str, Callable[[], Any]]]:
    for dunder in ("__repr__", "__str__"):
        for act in (_raises, _recurses, _out_of_memory, _five, _huge, _endless):
            yield f"{dunder}{act.__name__}", _foe(**{dunder: act})
    others = ("__iter__", "__len__", "__getattr__", "__getattribute__", "__hash__", "__eq__", "__bool__")
    for dunder in others:
        for act in (_raises, _recurses, _five):
            yield f"{dunder}{act.__name__}", _foe(**{dunder: act})
    for dunder in ("__class__", "__dict__", "__dataclass_fields__", "_fields", "__module__"):
        yield f"{dunder}_property_raises", _foe(**{dunder: property(_raises)})
    yield "__class___lies_dict", _foe(__class__=property(lambda self: dict))
    yield "__class___lies_str", _foe(__class__=property(lambda self: str))
    yield "__eq___always_true", _foe(__eq__=_always_true, __hash__=_five)


class _Meta(type):
    """A metaclass whose classes cannot be hashed, compared, named or printed."""

    __hash__ = _raises
    __eq__ = _raises
    __repr__ = _raises
    __instancecheck__ = _raises
    __subclasscheck__ = _raises
    __name__ = property(_raises)
    __mro__ = property(_raises)
    __dict__ = property(_raises)


class _Masked:
    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__


class _MaskedStr(_Masked, str):
    """A secret that shows no character of itself."""


class _MaskedReprOnly(str):
    def __repr__(self) -> str:
        return "***"


class _MaskedBytes(_Masked, bytes):
    pass


class _MaskedDict(_Masked, dict):  # type: ignore[type-arg]
    pass


class _MaskedList(_Masked, list):  # type: ignore[type-arg]
    pass


class _MaskedTuple(_Masked, tuple):  # type: ignore[type-arg]
    pass


class _MaskedFields(NamedTuple):
    secret: str

    def __repr__(self) -> str:
        return "***"


@dataclasses.dataclass
class _MaskedDataclass:
    secret: str

    def __repr__(self) -> str:
        return "***"


@dataclasses.dataclass
class _HiddenField:
    user: str
    secret: str = dataclasses.field(repr=False)


class _IterRaises(dict):  # type: ignore[type-arg]
    __iter__ = items = keys = values = __len__ = __getitem__ = _raises


class _ListRaises(list):  # type: ignore[type-arg]
    __iter__ = __len__ = __getitem__ = _raises


class _IntRaises(int):
    __repr__ = __str__ = __eq__ = __hash__ = _raises


class _FloatLies(float):
    __eq__ = __lt__ = __gt__ = _raises


class _StrReprFive(str):
    __repr__ = __str__ = _five


class _StrSame(str):
    def __str__(self) -> str:
        return self


class _KeyHashOnce:
    """A key whose hash may be taken once, by the dict that it is put into."""

    hashed = 0

    def __hash__(self) -> int:
        self.hashed += 1
        if self.hashed > 1:
            raise RuntimeError("hashed again")
        return 1

    __eq__ = _raises


class _Word(enum.Enum):
    A = "a"
    B = ("b", {"c": 1})


class _Number(enum.IntEnum):
    ONE = 1


class _Text(str, enum.Enum):
    A = "a"

    def __str__(self) -> str:
        raise RuntimeError("hostile")


class _ErrorStrRaises(ValueError):
    __str__ = _raises
    __repr__ = _raises


class _Zone(datetime.tzinfo):
    utcoffset = dst = tzname = _raises


class _Slots:
    __slots__ = ("a", "never_set")

    def __init__(self) -> None:
        self.a = 1


@dataclasses.dataclass
class _Node:
    name: str
    next: Any = None


def deep(depth: int, wrap: Callable[[Any], Any] = lambda inner: [inner]) -> Any:
    """A value that nests *depth* containers."""
    value: Any = []
    for _ in range(depth - 1):
        value = wrap(value)
    return value


def _cycle_list() -> Any:
    value: list[Any] = [1]
    value.append(value)
    return value


def _cycle_dict() -> Any:
    value: dict[str, Any] = {"a": 1}
    value["self"] = value
    return value


def _cycle_tuple() -> Any:
    inner: list[Any] = []
    value = (inner,)
    inner.append(value)
    return value


def _cycle_dataclass() -> Any:
    value = _Node("a")
    value.next = {"node": value}
    return value


def _cycle_cause() -> Any:
    first, second = ValueError("first"), KeyError("second")
    first.__cause__, second.__cause__ = second, first
    return first


def _cycle_namespace() -> Any:
    value = types.SimpleNamespace()
    value.proxy = types.MappingProxyType({"back": value})
    return value


def _cycle_key() -> Any:
    value = _KeyNode()
    value.held = {value: 1}
    return value


@dataclasses.dataclass(eq=False)
class _KeyNode:
    held: Any = None


def _shared() -> Any:
    value: Any = [0]
    for _ in range(200):
        value = [value, value]
    return value


def _coroutine() -> Any:
    async def never() -> None: ...

    made = never()
    made.close()  # else Python warns that it was never awaited
    return made


def _group() -> Any:
    if sys.version_info < (3, 11):
        return ValueError("no groups here", [KeyError("a")])
    return ExceptionGroup("many", [ValueError("a"), ExceptionGroup("inner", [KeyError("b")])])  # noqa: F821


def _released() -> Any:
    view = memoryview(b"abc")
    view.release()
    return view


def _task_like() -> Any:
    return asyncio.Lock()


HOSTILE: list[tuple[str, Callable[[], Any]]] = [
    *_foes(),
    ("metaclass", lambda: _Meta("Foe", (), {})()),
    ("metaclass_class", lambda: _Meta("Foe", (), {})),
    ("metaclass_dict", lambda: _Meta("Foe", (dict,), {})(a=1)),
    ("endless_getattr", _foe(__getattr__=lambda self, name: self)),
    ("prints", _foe(__repr__=lambda self: sys.stdout.write("") and "" or "printed")),
    ("masked_str", lambda: _MaskedStr(SECRET)),
    ("masked_repr_only", lambda: _MaskedReprOnly(SECRET)),
    ("masked_bytes", lambda: _MaskedBytes(SECRET.encode())),
    ("masked_dict", lambda: _MaskedDict(secret=SECRET)),
    ("masked_list", lambda: _MaskedList([SECRET])),
    ("masked_tuple", lambda: _MaskedTuple([SECRET])),
    ("masked_fields", lambda: _MaskedFields(SECRET)),
    ("masked_dataclass", lambda: _MaskedDataclass(SECRET)),
    ("masked_field", lambda: _HiddenField("ann", SECRET)),
    ("masked_key", lambda: {_MaskedStr(SECRET): 1}),
    ("dict_iter_raises", lambda: _IterRaises(a=1)),
    ("list_iter_raises", lambda: _ListRaises([1, 2])),
    ("int_raises", lambda: _IntRaises(5)),
    ("float_lies", lambda: _FloatLies("nan")),
    ("str_repr_five", lambda: _StrReprFive("a")),
    ("str_same", lambda: _StrSame("a")),
    ("enum", lambda: [_Word.A, _Word.B, _Number.ONE, _Text.A]),
    ("cycle_list", _cycle_list),
    ("cycle_dict", _cycle_dict),
    ("cycle_tuple", _cycle_tuple),
    ("cycle_dataclass", _cycle_dataclass),
    ("cycle_cause", _cycle_cause),
    ("cycle_namespace", _cycle_namespace),
    ("cycle_key", _cycle_key),
    ("shared_2_to_the_200", _shared),
    *[(f"deep_list_{n}", lambda n=n: deep(n)) for n in (10, 60, 61, 1_000, 20_000)],
    ("deep_dict", lambda: deep(20_000, lambda inner: {"a": inner})),
    ("deep_tuple", lambda: deep(20_000, lambda inner: (inner,))),
    ("deep_dataclass", lambda: deep(2_000, lambda inner: _Node("n", inner))),
    ("deep_argument", lambda: ValueError(deep(20_000))),
    ("wide_list", lambda: [None] * 200_000),
    ("wide_dict", lambda: dict.fromkeys(range(110_000))),
    ("wide_set", lambda: set(range(110_000))),
    ("long_text", lambda: "long " * 4_000_000),
    ("long_bytes", lambda: b"\xff" * 20_000_000),
    ("long_key", lambda: {"k" * 1_000_000: 1, "k" * 1_000_001: 2}),
    ("not_numbers", lambda: [float("nan"), float("inf"), float("-inf"), -0.0, 1e308, 5e-324]),
    ("decimals", lambda: [decimal.Decimal("NaN"), decimal.Decimal("1E+999999"), fractions.Fraction(1, 3)]),
    ("complex_nan", lambda: complex("nan+infj")),
    ("huge_ints", lambda: [10**5_000, -(10**5_000), 10**4_299, 2**53 + 1]),
    ("huge_int_key", lambda: {10**5_000: 1}),
    ("odd_keys", lambda: {1: 1, 1.5: 2, None: 3, False: 4, (1, "a"): 5, b"k": 6, "": 7, _Word.A: 8}),
    ("same_keys", lambda: {1: "int", "1": "str", decimal.Decimal("1.0"): "no", "1.0": "str", 2: 0}),
    ("same_text_keys", lambda: {_Slots(): n for n in range(1_000)}),
    ("key_hashes_once", lambda: {_KeyHashOnce(): 1}),
    ("key_raises", lambda: {type("Foe", (), {"__repr__": _raises})(): 1}),
    ("our_names", lambda: {"_t": 0, "name": 1, "self": 2, "context": 3, "$cut": 4, "len": 5, "message": 6}),
    ("lone_surrogates", lambda: {"\ud800key": "\udfff value", "reversed": "\udc00\ud800"}),
    ("odd_text", lambda: "\0\x1b[31m\u2028\u2029\x85\ufeff\u202e\x7f\r\n</script>\U0001f600"),
    ("bytes_text", lambda: [b"plain", b"\xff\x00", bytearray(b"a"), memoryview(b"abc")[::2]]),
    ("bytes_released", _released),
    ("array", lambda: array.array("d", [1.0, float("nan")])),
    ("sets", lambda: {frozenset({1, "a", None, (1, 2)}), frozenset()}),
    ("times", lambda: [datetime.datetime(2024, 1, 1, fold=1), datetime.timedelta.max, datetime.time.min]),
    ("zone_raises", lambda: datetime.datetime(2024, 1, 1, tzinfo=_Zone())),
    ("path_uuid", lambda: [pathlib.PurePosixPath("/a\udcff"), uuid.UUID(int=0)]),
    ("slots", _Slots),
    ("lock", threading.Lock),
    ("asyncio_lock", _task_like),
    ("module", lambda: sys),
    ("lazy_module", lambda: type("Lazy", (types.ModuleType,), {"__getattribute__": _raises})("lazy")),
    ("class", lambda: dict),
    ("function", lambda: _raises),
    ("method", lambda: _Slots().__init__),
    ("generator", lambda: (n for n in itertools.count())),
    ("endless_iterator", itertools.count),
    ("coroutine", _coroutine),
    ("file", lambda: io.BytesIO(b"abc")),
    ("pattern", lambda: re.compile("a+")),
    ("mock", mock.Mock),
    ("magic_mock", mock.MagicMock),
    ("mock_of_dict", lambda: mock.MagicMock(spec=dict)),
    ("error", lambda: _ErrorStrRaises("a")),
    ("error_group", _group),
    ("not_implemented", lambda: [NotImplemented, ..., object()]),
    ("chain_map", lambda: collections.ChainMap({"a": 1}, _IterRaises(b=2))),
    ("user_dict", lambda: collections.UserDict({"a": _foe(__repr__=_raises)()})),
    ("default_dict", lambda: collections.defaultdict(_raises, {"a": 1})),
    ("deque", lambda: collections.deque([1, 2], 5)),
    ("environ_like", lambda: types.MappingProxyType(_IterRaises(a=1))),
    ("range", lambda: range(10**5_000)),
    ("weak_proxy_dead", lambda: __import__("weakref").proxy(_Node("gone"))),
    ("stop_iteration", lambda: StopIteration(1)),
]
