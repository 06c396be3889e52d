"""Any value becomes plain, bounded JSON data, and nothing that a value does gets out."""

from __future__ import annotations

import array
import collections
import dataclasses
import datetime
import decimal
import enum
import json
import os
import pathlib
import random
import re
import sys
import threading
import types
import uuid
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from ai_trace.plain import plain
from ai_trace.record import LIMITS, Limits
from tests.children import environment, run
from tests.hostile import HOSTILE, SECRET, deep

SEED = int(os.environ.get("SEED", "20240301"))
SMALL = Limits(depth=5, items=7, text=50, step_bytes=2_000)


def check(made: Any, limits: Limits = LIMITS) -> str:
    """*made* holds only exact builtin types and is RFC 8259 JSON within *limits*; its compact text."""
    todo = [made]
    while todo:
        value = todo.pop()
        kind = type(value)
        assert kind in (dict, list, str, int, float, bool, type(None)), kind
        if kind is dict:
            assert all(type(key) is str for key in value)
            todo += value.values()
        elif kind is list:
            todo += value
    text = json.dumps(made, allow_nan=False, separators=(",", ":"))
    assert len(text) <= max(limits.step_bytes, 1024)
    return text


@pytest.mark.parametrize("make", [make for _, make in HOSTILE], ids=[name for name, _ in HOSTILE])
def test_no_value_gets_out(make: Callable[[], Any]) -> None:
    """Whatever a value does, it becomes plain JSON; what it masks stays masked, and neighbours are kept."""
    text = check(plain(make()))
    assert SECRET not in text
    beside = plain({"before": 1, "it": make(), "after": 2}, SMALL)
    check(beside, SMALL)
    assert beside["before"] == 1
    assert SECRET not in json.dumps(beside)


def test_a_value_that_fails_leaves_the_rest() -> None:
    """One unprintable value costs itself: the mark names its class and the error."""
    foes = {name: make() for name, make in HOSTILE if name.startswith("__repr__")}
    made = plain({"a": 1, **foes, "z": 2})
    assert made["__repr___raises"] == "<unprintable Foe: RuntimeError>"
    assert made["__repr___recurses"] == made["__repr___endless"] == "<unprintable Foe: RecursionError>"
    assert made["__repr___out_of_memory"] == "<unprintable Foe: MemoryError>"
    assert made["__repr___five"] == "<unprintable Foe: TypeError>"
    assert made["__repr___huge"]["$cut"]["chars"] == 20_000_000
    assert made["z"] == 2


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_belongs_to_the_app_passes(error: type[BaseException]) -> None:
    """Ctrl-C or an exit in the middle of a `__repr__` is the app's own and is not swallowed."""

    class Interrupted:
        def __repr__(self) -> str:
            raise error

    with pytest.raises(error):
        plain([Interrupted()])


def test_only_repr_is_touched() -> None:
    """A lazy object, a query or a connection, sees one call of its `__repr__` and nothing else."""
    touched = []

    class Lazy:
        def __getattribute__(self, name: str) -> Any:
            touched.append(name)
            return object.__getattribute__(self, name)

        def __repr__(self) -> str:
            touched.append("repr")
            return "<lazy>"

        def touch(self, *args: Any) -> Any:
            touched.append("other")

        __iter__ = __len__ = __bool__ = __getitem__ = __str__ = touch
        __eq__ = __hash__ = touch

    assert plain({"query": Lazy()}) == {"query": "<lazy>"}
    assert touched == ["repr"]


def test_generators_and_iterators_are_not_consumed() -> None:
    """What can be read once is left for the app to read."""
    numbers, lines = (n for n in range(3)), iter([1, 2])
    assert plain([numbers, lines])[0].startswith("<generator object ")
    assert (list(numbers), list(lines)) == ([0, 1, 2], [1, 2])


class Color(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Point(NamedTuple):
    x: int
    y: Any


@dataclasses.dataclass
class Order:
    number: int
    card: str = dataclasses.field(repr=False)
    lines: list[Any] = dataclasses.field(default_factory=list)


class Plain(str):
    pass


class Shown(dict):  # type: ignore[type-arg]
    def __repr__(self) -> str:
        return "shown"


FORMS: list[tuple[Any, Any]] = [
    ([1, "a", None, True, 1.5, -0.0], [1, "a", None, True, 1.5, -0.0]),
    ((1, [2, (3,)]), [1, [2, [3]]]),
    ([float("nan"), float("inf"), float("-inf")], ["<NaN>", "<Infinity>", "<-Infinity>"]),
    (10**4_299, 10**4_299),
    (10**5_000, "<int of 5001 digits: 0xc78820040d9443cf…>"),
    (-(10**4_300), "<int of 4301 digits: -0x9c95ebe150d54253…>"),
    (Plain("text"), "text"),
    (Shown(a=1), "shown"),
    ([Color.RED, Level.HIGH], ["red", 3]),
    (Point(1, {2}), {"x": 1, "y": [2]}),
    (Order(7, "4111", [(1,)]), {"number": 7, "card": "<hidden>", "lines": [[1]]}),
    (collections.OrderedDict(a=1), {"a": 1}),
    (collections.defaultdict(list, a=[1]), {"a": [1]}),
    (collections.Counter("aab"), {"a": 2, "b": 1}),
    (collections.deque([1, 2], 5), [1, 2]),
    (array.array("i", [1, 2]), [1, 2]),
    ({"a": 1}.items(), [["a", 1]]),
    (types.SimpleNamespace(a=1), {"a": 1}),
    (types.MappingProxyType({"a": 1}), {"a": 1}),
    ({10, 9, "z", "b", (2, 1), None}, [9, 10, "b", "z", [2, 1], None]),
    (b"text", {"$bytes": 4, "text": "text"}),
    (memoryview(b"\xff\x00"), {"$bytes": 2, "base64": "/wA="}),
    (datetime.datetime(2024, 10, 27, 2, 30, fold=1), "2024-10-27T02:30:00 (fold=1)"),
    (datetime.datetime(2024, 3, 1, tzinfo=datetime.timezone.utc), "2024-03-01T00:00:00+00:00"),
    (datetime.timedelta(seconds=-90, milliseconds=500), "-89.5 s"),
    (datetime.date(2024, 3, 1), "2024-03-01"),
    (decimal.Decimal("1.10"), "1.10"),
    (pathlib.PurePosixPath("/a/b"), "/a/b"),
    (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (range(3), "range(0, 3)"),
    (1 + 2j, "(1+2j)"),
    (re.compile("a+"), "re.compile('a+')"),
    (json, "<module 'json'>"),
    (int, "<class 'int'>"),
    (len, "<built-in function len>"),
    (object(), "<object object>"),
]


@pytest.mark.parametrize("value, form", FORMS, ids=[str(n) for n in range(len(FORMS))])
def test_known_values_have_a_stated_form(value: Any, form: Any) -> None:
    """The table in the docstring of `plain.py`."""
    made = plain(value)
    if type(value) is set:
        made.sort(key=repr), form.sort(key=repr)
    assert repr(made) == repr(form)
    check(made)


def test_a_set_reads_the_same_in_every_run() -> None:
    """The order of a set changes with the hash seed of the process; that of its record does not."""
    script = "from ai_trace.plain import plain; print(plain({'a', 'b', 'c', 10, 9, ('x', 1), None}))"
    seen = {run(script, env=environment(PYTHONHASHSEED=seed)).stdout.strip() for seed in ("1", "2")}
    assert seen == {"[9, 10, 'a', 'b', 'c', ['x', 1], None]"}


def test_memory_addresses_are_left_out() -> None:
    """Two runs of one agent differ in what it did, not in where its objects lay."""

    class Bare:
        pass

    made = plain([Bare(), check, threading.Lock(), Bare().__init__, (n for n in ())])
    assert "0x" not in json.dumps(made)


def test_an_exception_is_its_type_message_and_causes() -> None:
    """What was raised, from what, and while handling what, without frames."""
    try:
        try:
            {}["key"]
        except KeyError as first:
            raise ValueError("bad order") from first
    except ValueError as error:
        made = plain(error)
    assert made == {
        "type": "ValueError",
        "message": "bad order",
        "cause": {"type": "KeyError", "message": "'key'"},
    }


@pytest.mark.skipif(sys.version_info < (3, 11), reason="exception groups are new in 3.11")
def test_an_exception_group_keeps_its_members() -> None:
    """All that failed together is recorded together, with the notes."""
    group = ExceptionGroup("two", [ValueError("a"), KeyError("b")])  # noqa: F821
    group.add_note("in the night")
    assert plain(group) == {
        "type": "ExceptionGroup",
        "message": "two",
        "notes": ["in the night"],
        "exceptions": [{"type": "ValueError", "message": "a"}, {"type": "KeyError", "message": "'b'"}],
    }


def test_cycles_are_marked() -> None:
    """A value that holds itself says so once; a value held twice is no cycle."""
    for name, make in HOSTILE:
        if name.startswith("cycle_"):
            assert json.dumps(plain(make())).count("<cycle>") == 1 or name == "cycle_key"
    once = [1]
    assert plain([once, once]) == [[1], [1]]


@pytest.mark.parametrize("depth", [10, 60, 61, 1_000, 100_000])
def test_depth_is_cut_with_a_mark(depth: int) -> None:
    """Sixty containers deep is kept; below that stands `<deeper>`."""
    text = check(plain(deep(depth)))
    assert text.count("[") == min(depth, LIMITS.depth)
    assert ("<deeper>" in text) == (depth > LIMITS.depth)


def test_wide_values_are_cut_with_a_count() -> None:
    """The mark says how many items were left out."""
    limits = Limits(items=3)
    assert plain(list(range(10)), limits) == [0, 1, 2, {"$cut": 7}]
    assert plain(dict.fromkeys("abcde", 0), limits) == {"a": 0, "b": 0, "c": 0, "$cut": 2}
    assert plain({"$cut": 1, "a": 2, "b": 3, "c": 4}, limits) == {"$cut": 1, "a": 2, "b": 3, "$cut (cut)": 1}
    assert plain({5, 6, 7, 8}, limits)[-1] == {"$cut": 1}


def test_long_text_is_cut_with_its_length_and_hash() -> None:
    """The head is kept, and two long texts can still be told apart."""
    made = plain("é" * 60, Limits(text=50))
    assert made["text"] == "é" * 50
    assert made["$cut"]["chars"] == 60
    assert made["$cut"]["sha256"] != plain("é" * 59 + "e", Limits(text=50))["$cut"]["sha256"]
    binary = plain(b"\xff" * 5_000)
    assert (binary["$bytes"], binary["$cut"]["bytes"], len(binary["base64"])) == (5_000, 5_000, 5_464)


def test_shared_parts_do_not_explode() -> None:
    """A value of 2**200 paths is cut at the stated size instead of filling the memory."""
    value: Any = ["x" * 100]
    for _ in range(200):
        value = [value, value]
    limits = Limits(step_bytes=100_000)
    assert "$cut" in check(plain(value, limits), limits)
    wide = [["y"] * 1_000] * 1_000
    assert "$cut" in check(plain({"a": wide, "b": wide}, limits), limits)


def test_the_size_is_never_passed() -> None:
    """Random values, full of escapes, keys and numbers, stay within the limit in bytes of JSON."""
    print("SEED", SEED)
    draw = random.Random(SEED)

    def value(depth: int) -> Any:
        kind = draw.randrange(9 if depth else 6)
        if kind < 3:
            return draw.choice(["a", "\0", "é", "\U0001f600", '"\\\n']) * draw.choice([0, 1, 30, 900, 5_000])
        if kind == 3:
            return draw.choice([1, -(2**63), 10 ** draw.randrange(4_290), -2.2250738585072014e-308])
        if kind == 4:
            return draw.choice([b"\xff" * 50, float("nan"), None, object(), Color.RED])
        if kind == 5:
            return ValueError("e" * draw.randrange(300))
        if kind == 6:
            keys = [draw.choice(["k", "\U0001f600", 1, None]) for _ in range(9)]
            return {k * 400 if type(k) is str else k: value(depth - 1) for k in keys}
        return [value(depth - 1) for _ in range(draw.randrange(12))]

    for _ in range(300):
        limits = Limits(step_bytes=draw.choice([1_024, 1_500, 4_000, 30_000]), text=3_000)
        check(plain(value(4), limits), limits)


def test_keys_become_texts_and_none_is_lost() -> None:
    """A key is the JSON text of its plain form; where two fall together, the later one says its type."""
    made = plain({1: "a", "1": "b", 1.5: 0, None: 0, True and "": 0, (1, "x"): 0, b"k": 0, Color.RED: 0})
    assert list(made) == ["1", "1 (str)", "1.5", "null", "", '[1, "x"]', "b'k'", "red"]
    same = plain({object(): n for n in range(3)})
    assert list(same) == ["<object object>", "<object object> (object)", "<object object> (object 2)"]
    long = plain({"k" * 1_000_000: 1})
    assert list(long) == ["k" * 1_000 + "… (1000000 chars)"]


def test_odd_text_stays_as_it_is() -> None:
    """Lone surrogates, NULs and line separators are carried by JSON escapes and come back unchanged."""
    odd = "\ud800 \0 \u2028 \x85 \x1b \udfff"
    assert json.loads(check(plain({odd: odd}))) == {odd: odd}


def test_the_record_is_a_copy() -> None:
    """What the app changes afterwards is not changed in the record."""
    inner = [1]
    made = plain({"a": inner})
    inner.append(2)
    assert made == {"a": [1]}


def test_containers_that_other_threads_change() -> None:
    """A dict, set, list and deque under change are recorded as they were at one moment, or marked."""
    numbers = range(50)
    shared: list[Any] = [dict.fromkeys(numbers), set(numbers), list(numbers), collections.deque(numbers)]
    stop = threading.Event()

    def change() -> None:
        n = 50
        while not stop.is_set():
            n += 1
            shared[0][n] = shared[0].pop(n - 50, None)
            shared[1].add(n), shared[1].discard(n - 50)
            shared[2].append(n), shared[2].pop(0)
            shared[3].append(n), shared[3].popleft()

    threads = [threading.Thread(target=change) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(300):
            made = plain(shared)
            check(made)
            assert all(part == "<changing>" or len(part) > 10 for part in made)
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_a_container_that_never_holds_still_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    """After one more try the place of the value says that it was changing."""
    from ai_trace import forms

    def changed(*args: Any) -> Any:
        raise RuntimeError("dictionary changed size during iteration")

    monkeypatch.setattr(forms, "islice", changed)
    assert plain({"a": 1}) == "<changing>"


def test_near_the_recursion_limit() -> None:
    """With 5, 20 or 50 frames left the app gets data or a mark, never a `RecursionError` of ours."""

    def room(n: int = 0) -> int:
        """How many frames are left."""
        try:
            return room(n + 1)
        except RecursionError:
            return n

    def sink(n: int) -> Any:
        return sink(n - 1) if n else plain({"a": [1, {"b": object()}], "s": {1, 2}})

    whole = plain({"a": [1, {"b": object()}], "s": {1, 2}})
    for frames in range(5, 60):
        made = sink(room() - frames)
        check(made)
        assert frames < 30 or made == whole


SMALL_STACK = """
import json, threading
from ai_trace.plain import plain
from ai_trace.record import Limits
from tests.hostile import HOSTILE, deep
# Made and kept by the main thread: CPython 3.13 frees a deep list by a recursion that ends a small stack.
wraps = (lambda x: [x], lambda x: {'a': x}, lambda x: (x,), lambda x: {'t': (x, {1: [x]})})
values = [deep(n, wrap) for n in (10, 60, 400, 20000) for wrap in wraps]
# An endless repr ends a small stack with or without us.
values += [make() for name, make in HOSTILE if not name.endswith('_endless')]
def work():
    for value in values:
        json.dumps(plain(value, limits))
    print('done')
limits = Limits(step_bytes=20000)
threading.stack_size(65536)
thread = threading.Thread(target=work)
thread.start(); thread.join()
"""


def test_a_thread_with_a_small_stack() -> None:
    """In a stack of 64 KiB no value makes the interpreter crash, which nothing could catch."""
    assert run(SMALL_STACK).stdout.strip() == "done"
