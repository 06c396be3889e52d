"""`ai-trace diff` says where two runs part and all that differs, and nothing that is only noise."""

from __future__ import annotations

import json
import re
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from ai_trace.alignment import Comparison, Rules, compare
from ai_trace.matching import matched
from ai_trace.record import Record
from ai_trace.session import fold
from ai_trace.timing import changes
from tests.cli_world import START, World
from tests.cli_world import step as row
from tests.records import T0, seeded, step

LENGTH = 30  # rounds of a run


def _run(*, noise: float = 0.0, inserted: bool = False, changed: bool = False) -> list[Record]:
    """A run of many alike rounds; *noise* shifts every id, time and duration."""
    ids = count(int(noise * 1000))
    shift = T0 + noise * 977

    def add(name: str, parent: Record | None, at: float, **data: Any) -> Record:
        here = {"id": f"{next(ids):016x}", "started_at": shift + at, "duration_ms": 5.0 + noise, "thread": f"T{noise}"}
        record = step(0, name=name, **here, **data)
        record.parent = parent.id if parent else None
        steps.append(record)
        return record

    steps: list[Record] = []
    root = add("run", None, 0, context={"symbol": "BTC"})
    for n in range(LENGTH):
        tick = add("tick", root, n + 0.1, context={"obj": f"<Book at 0x7f{int(noise):06x}aa>"})
        add("scan", tick, n + 0.2, logs=[{"_t": shift + n, "signal": n / 7}])
        if inserted and n == 11:
            add("retry", tick, n + 0.25, logs=[{"_t": shift + n, "message": "again"}])
        signal = 0.31 if changed and n == 20 else n / 7
        add("decide", tick, n + 0.3, context={"signal": signal}, logs=[{"_t": shift, "action": "HOLD"}])
    return steps


def _compare(one: list[Record], other: list[Record], **rules: Any) -> Comparison:
    return compare(fold(one), fold(other), Rules(**rules))


def _told(found: Comparison) -> list[tuple[str, str, str]]:
    return [(one.kind, (one.a or one.b).name if one.a or one.b else "", one.path) for one in found.differences]  # type: ignore[union-attr]


def test_an_inserted_step_a_changed_value_and_noise_are_two_differences() -> None:
    """The step more does not shift the sixty after it, and no id, time, duration, thread or address counts."""
    found = _compare(_run(), _run(noise=3.5, inserted=True, changed=True))

    assert [("added", "retry", ""), ("changed", "decide", "context.signal")] == _told(found)
    assert found.first is found.differences[0]
    assert (20 / 7, 0.31) == (found.differences[1].was, found.differences[1].now)


def test_noise_alone_is_no_difference() -> None:
    """The same agent twice, on another day."""
    assert [] == _compare(_run(), _run(noise=2.0)).differences


def test_what_says_by_its_name_that_it_is_new_each_time_is_noise_too() -> None:
    """Ids of calls, processes, times and durations that the agent recorded itself; with `strict` they count."""
    def run(n: int) -> list[Record]:
        said = {"request_id": f"r{n}", "pid": n, "latency_ms": n / 3, "timestamp": 1.7e9 + n, "started_at": f"2024-03-0{n}T10:00"}
        return [step(1, context={**said, "calls": [{"id": f"call_{n}abcdefgh", "name": "look"}]}, logs=[{"_t": T0, "elapsed_s": n}])]

    assert [] == _compare(run(1), run(2)).differences
    assert 7 == len(_compare(run(1), run(2), strict=True).differences)


@pytest.mark.parametrize("name, was, now", [("user_id", 1, 2), ("id", "doc-1", "doc-2"), ("time", "10:00", "11:00"), ("order_id", "a", "b"), ("expires_at", 1.7e9, 1.8e9)])
def test_what_may_mean_something_is_no_noise(name: str, was: Any, now: Any) -> None:
    """Whose it was, which document, at what time of day."""
    found = _compare([step(1, context={name: was})], [step(1, context={name: now})])

    assert [f"context.{name}"] == [one.path for one in found.differences]


def test_the_other_way_round_what_was_added_is_missing() -> None:
    """Both directions find the same places."""
    found = _compare(_run(noise=1.0, inserted=True, changed=True), _run())

    assert [("missing", "retry", ""), ("changed", "decide", "context.signal")] == _told(found)


def test_differences_stand_in_the_order_in_which_they_could_come_about() -> None:
    """A failure inside a step comes before the failure of the step around it; its context came before both."""
    ended = {"outcome": "error", "error": "ValueError: no"}
    good = [step(1, name="run", context={"x": 1}), step(2, 1, name="fetch")]
    bad = [step(1, name="run", context={"x": 2}, **ended), step(2, 1, name="fetch", **ended)]

    paths = [(name, path) for _, name, path in _told(_compare(good, bad))]
    assert [("run", "context.x"), ("fetch", "outcome"), ("fetch", "error"), ("run", "outcome"), ("run", "error")] == paths


def test_a_step_with_all_inside_it_is_one_difference() -> None:
    """A whole branch that only one run has is told by its root, with how much is inside."""
    branch = [step(5, 1, name="repair"), step(6, 5, name="read"), step(7, 6, name="parse")]
    base = [step(1, name="run", duration_ms=20_000.0), step(9, 1, name="decide")]
    found = _compare(base, [*base, *branch])

    assert [("added", "repair", "")] == _told(found) and 2 == found.differences[0].inside


@pytest.mark.parametrize(
    "was, now, paths",
    [
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, ["context.a.c"]),
        ({"a": 1}, {"a": 1, "b": None}, ["context.b"]),
        ({"a": [1, 2, 3, 4]}, {"a": [1, 9, 2, 3, 4]}, ["context.a[1]"]),
        ({"a": [{"id": 1, "x": 1}]}, {"a": [{"id": 1, "x": 2}]}, ["context.a[0].x"]),
        ({"a": "1"}, {"a": 1}, ["context.a"]),
        ({"a": True}, {"a": 1}, ["context.a"]),
        ({"a": 2000}, {"a": 2000.0}, []),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, []),
    ],
)
def test_values_are_compared_field_by_field(was: Any, now: Any, paths: list[str]) -> None:
    """The path leads to what is different, and no further."""
    assert paths == [path for *_, path in _told(_compare([step(1, context=was)], [step(1, context=now)]))]


def test_what_is_asked_to_be_ignored_is() -> None:
    """Globs fit a whole path or an end of it; places in lists are left out of it."""
    one = [step(1, context={"ticket": "a", "rows": [{"at": 1, "x": 1}]}, logs=[{"_t": 1, "weight": 5}])]
    other = [step(1, context={"ticket": "b", "rows": [{"at": 2, "x": 1}]}, logs=[{"_t": 1, "weight": 6}])]

    assert 3 == len(_compare(one, other).differences)
    assert [] == _compare(one, other, ignore=("ticket", "rows.at", "logs.*")).differences
    assert [("changed", "step 1", "context.ticket")] == _told(_compare(one, other, ignore=("at", "weight")))


def test_numbers_within_the_tolerance_are_equal() -> None:
    """Relative, and absolute around zero."""
    one, other = ([step(1, context={"a": [a, 0.0]})] for a in (1e9, 1e9 + 1))

    assert 1 == len(_compare(one, other).differences)
    assert [] == _compare(one, other, tolerance=1e-6).differences


def test_order_counts_unless_it_is_ignored() -> None:
    """Of brothers that ran side by side, of logs, and of the items of lists."""
    one = [step(1, name="a", context={"l": [1, 2]}, logs=[{"_t": 1, "m": 1}, {"_t": 1, "m": 2}]), step(2, name="b")]
    other = [step(2, name="a", context={"l": [2, 1]}, logs=[{"_t": 1, "m": 2}, {"_t": 1, "m": 1}]), step(1, name="b")]

    assert _compare(one, other).differences
    assert [] == _compare(one, other, ignore_order=True).differences


def test_every_step_of_both_runs_stands_in_one_row() -> None:
    """Whatever the runs are, nothing is lost and nothing told twice; a run is the same as itself."""
    random = seeded()
    for _ in range(60):
        one, other = (
            [step(n, random.choice([None, *range(n)]) if n else None, name=random.choice("abc"),
                  context={"v": random.randrange(3)}) for n in range(random.randrange(25))]
            for _ in range(2)
        )  # fmt: skip
        a, b = fold(one), fold(other)
        found = compare(a, b)
        alone = sum(1 + d.inside for d in found.differences if not d.path)
        both = [row for row in found.rows if row.a and row.b]
        assert len(a.steps) + len(b.steps) == 2 * len(both) + alone
        assert len({id(row.a) for row in both}) == len({id(row.b) for row in both}) == len(both)
        assert [] == compare(a, fold(one)).differences


def test_matching_is_in_order_and_joins_what_is_equal() -> None:
    """The pairs rise on both sides, each item stands once, and what is joined shares a key."""
    random = seeded()
    for _ in range(300):
        one, other = ([(n, n % 2) for n in random.choices(range(30), k=random.randrange(40))] for _ in "ab")
        pairs = matched(one, other)
        assert [*range(len(one))] == [at for at, _ in pairs if at is not None]
        assert [*range(len(other))] == [to for _, to in pairs if to is not None]
        assert all(one[at][1] == other[to][1] for at, to in pairs if at is not None and to is not None)


def test_matching_ten_thousand_items_is_near_linear() -> None:
    """Few insertions among alike items are found exactly; where nothing is alike, it ends all the same."""
    one = [(n, "st"[n % 2]) for n in range(10_000)]
    other = [(-1 - n, "st"[n % 2]) for n in range(10_000)]
    for place in (100, 3_000, 9_000):
        other.insert(place, (place * 100_000, "r"))

    assert [(None, 100), (None, 3_000), (None, 9_000)] == [pair for pair in matched(one, other) if None in pair]
    assert 20_000 == len(matched([(n, n) for n in range(10_000)], [(-1, -n - 1) for n in range(10_000)]))


def test_timing_is_compared_by_name_with_its_spread() -> None:
    """A change is clear where each median lies outside the other's middle four fifths."""
    one = [step(n, name="call", duration_ms=100.0 + n % 5) for n in range(50)]
    other = [step(n, name="call", duration_ms=200.0 + n % 5) for n in range(50)] + [step(60, name="new")]
    call, new = sorted(changes(one, other), key=lambda change: change.name)

    assert call.a and call.b and (102.0, 202.0) == (call.a.median_ms, call.b.median_ms)
    assert 5000.0 == call.total_ms and call.clear
    assert new.a is None and not new.clear
    assert not changes(one, one)[0].clear


# The command


@pytest.fixture(name="world")
def fixture_world(tmp_path: Path) -> World:
    """Three runs: a good one, the same again, and one with a step more and another decision."""
    world = World(tmp_path / "traces")
    for day, signal in enumerate((0.87, 0.87, 0.31), 1):
        start = START + day * 86_400
        steps = [row("scan", started_at=start, id=f"{day}1" * 8, logs=[{"_t": start, "note": "\x1b[2J"}])]
        if day == 3:
            steps.append(row("retry", started_at=start + 1, id=f"{day}2" * 8))
        steps.append(row("decide", started_at=start + 2, id=f"{day}3" * 8, context={"signal": signal}))
        world.session("trader", f"2026022{day}_061320", steps, start=start, meta={"model": f"m{signal}"})
    return world


def test_the_command_names_the_first_divergence_and_all_differences(world: World) -> None:
    """Exit code 1 where there are some; steps and values in their place."""
    done = world.call("diff", "20260222", "20260223", COLUMNS="80")

    assert (1, "") == (done.code, done.err)
    assert "2 differences; the first: retry (B #2): only in B" in done.out
    assert re.search(r"^\+ retry +#2, only in B$", done.out, re.M)
    assert re.search(r"^~ decide +#2 / #3\n +context\.signal 0\.87 → 0\.31$", done.out, re.M)
    assert "meta.model: m0.87 -> m0.31 (not counted)" in done.out


def test_the_command_ends_with_0_where_nothing_differs(world: World) -> None:
    """As `git diff --exit-code` does: a gate."""
    done = world.call("diff", "20260221", "20260222")

    assert 0 == done.code and "No differences." in done.out
    assert 0 == world.call("diff", "20260222", "latest", "--ignore", "signal", "--baseline", "20260221").code - 1


def test_on_a_wide_terminal_the_runs_stand_side_by_side(world: World) -> None:
    """Two columns, none wider than half of the screen, colours only where wanted."""
    plain = world.call("diff", "20260222", "20260223", COLUMNS="130").out
    painted = world.call("diff", "20260222", "20260223", "--color", "always", COLUMNS="130").out

    rows = [line for line in plain.splitlines() if "│" in line]
    assert 3 <= len(rows) and {rows[0].index("│")} == {line.index("│") for line in rows}
    assert all(len(line) <= 130 for line in rows)
    assert [line for line in re.sub(r"\x1b\[[0-9;]*m", "", painted).splitlines() if "│" in line] == rows
    assert "\x1b[2J" not in plain + painted


def test_many_runs_are_compared_with_one(world: World) -> None:
    """A row each, and exit code 1 where any differs."""
    done = world.call("diff", "--baseline", "20260221", "20260222", "20260223")

    assert 1 == done.code
    assert re.search(r"trader_20260222_061320 +0$", done.out, re.M)
    assert re.search(r"trader_20260223_061320 +2  retry \(B #2\): only in B", done.out)
    assert 0 == world.call("diff", "--baseline", "20260221", "20260222").code


def test_the_command_answers_in_json(world: World) -> None:
    """One document; with a baseline, a run each."""
    found = json.loads(world.call("diff", "20260222", "20260223", "--json", "--timing").out)

    assert 2 == found["count"] == len(found["differences"]) and found["first"] == found["differences"][0]
    assert {"kind": "changed", "path": "context.signal", "was": 0.87, "now": 0.31}.items() <= found["differences"][1].items()
    assert {"scan", "decide", "retry"} == {one["name"] for one in found["timing"]}
    many = json.loads(world.call("diff", "--baseline", "20260221", "20260222", "20260223", "--json").out)
    assert [0, 2] == [one["count"] for one in many["runs"]]


@pytest.mark.parametrize(
    "words", [["diff"], ["diff", "latest"], ["diff", "a", "b", "c"], ["diff", "--baseline", "latest"],
              ["diff", "latest", "@-1", "--tolerance", "no"], ["diff", "-", "-"]],
)  # fmt: skip
def test_wrong_usage_is_told(world: World, words: list[str]) -> None:
    """Exit code 2, and how it would be right."""
    done = world.call(*words)

    assert (2, "") == done[:2] and done.err


def test_a_field_that_differs_everywhere_is_offered_to_be_ignored(tmp_path: Path) -> None:
    """Noise of the agent's own is named, with the option that leaves it out."""
    world = World(tmp_path / "traces")
    for day in (1, 2):
        steps = [row("call", started_at=START + n, context={"ticket": f"{day}-{n}"}, id=f"{n:016x}") for n in range(4)]
        world.session(id=f"2026022{day}_061320", steps=steps)
    done = world.call("diff", "@-1", "latest")

    assert "--ignore 'context.ticket'" in done.err
    assert 0 == world.call("diff", "@-1", "latest", "--ignore", "context.ticket").code


