"""Steps in any order, with anything missing, twice or in circles, fold into one and the same session."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from ai_trace.record import Damage, Record
from ai_trace.session import Session, fold
from tests.records import T0, failed, seeded, step, step_id


def _shape(session: Session) -> list[tuple[int, str, bool]]:
    return [(node.depth, node.record.id, node.record.open) for node in session.walk()]


def _random_steps(random: Any, count: int) -> list[Record]:
    """A forest, some of its steps open, failed, or with a parent that is not there or comes later."""
    steps = []
    for n in range(count):
        parent = None if random.random() < 0.1 else random.randrange(count + 3)
        kind = random.random()
        steps.append(
            step(n, parent, open=True, logs=[{"_t": T0 + n}])
            if kind < 0.1
            else failed(n, parent, redacted=1, dropped={"disk full": 1})
            if kind < 0.3
            else step(n, parent, started_at=T0 + random.randrange(5), notice=["said once"])
        )
    return steps


def test_any_order_of_the_records_gives_the_same_session() -> None:
    """A journal is in order of ends, segments are merged, files are copied: the order says nothing."""
    random = seeded()
    for _ in range(100):
        steps = _random_steps(random, random.randrange(1, 30))
        first = fold(steps)
        random.shuffle(steps)
        second = fold(steps)
        assert first.to_dict() == second.to_dict()
        assert _shape(first) == _shape(second)


def test_every_step_has_exactly_one_place_in_the_tree() -> None:
    """Whatever the parents say, nothing is lost and nothing comes twice."""
    random = seeded()
    for _ in range(100):
        steps = _random_steps(random, random.randrange(1, 30))
        session = fold(steps)
        assert sorted(record.id for record in steps) == sorted(id for _, id, _ in _shape(session))
        for node in session.walk():
            assert session.path_to(node.record)[-1] is node.record
            assert len(session.path_to(node.record)) == node.depth + 1


def test_children_before_parents() -> None:
    """A child ends before its parent, and so stands before it in the journal."""
    session = fold([step(3, 2), step(2, 1), step(4, 1), step(1)])

    assert [(0, 1), (1, 2), (2, 3), (1, 4)] == [(depth, int(id, 16)) for depth, id, _ in _shape(session)]
    assert [session.get(step_id(2)), session.get(step_id(4))] == session.children(session.tree[0].record)


def test_a_step_comes_before_those_inside_it_also_in_one_tick_of_the_clock() -> None:
    """Where the clock is too coarse to tell, the tree does."""
    session = fold([step(n, n - 1 if n else None, started_at=T0) for n in (2, 1, 0)])

    assert [step_id(0), step_id(1), step_id(2)] == [record.id for record in session.steps]


def test_a_step_with_an_unknown_parent_is_a_root_and_said_so() -> None:
    """Its parent's line may be the damaged one."""
    session = fold([step(1), step(2, 99)])

    assert 2 == len(session.tree)
    assert ["Steps whose parent is not in this session (shown at the top level): 1"] == session.notices


def test_a_parent_in_another_process_is_no_fault() -> None:
    """A session started with a traceparent has a parent elsewhere."""
    session = fold([step(2, 99)], info={"parent": step_id(99)})

    assert 1 == len(session.tree) and [] == session.notices


@pytest.mark.parametrize("circle", [[1], [1, 2], [1, 2, 3, 4, 5]], ids=str)
def test_a_circle_of_parents_is_cut(circle: list[int]) -> None:
    """Only a damaged or forged file has one; it is shown, from its first step down."""
    steps = [step(n, circle[at - 1]) for at, n in enumerate(circle)]
    session = fold([*steps, step(9, circle[-1])])

    assert [step_id(circle[0])] == [node.record.id for node in session.tree]
    assert len(circle) + 1 == len(_shape(session))
    assert ["Circles of parents, cut, as no step lies inside itself: 1"] == session.notices


def test_a_finished_step_wins_over_the_same_step_open() -> None:
    """The black box and the journal may both hold a step for a moment."""
    session = fold([step(1, open=True), step(1), step(2, open=True)])

    assert [False, True] == [record.open for record in session.steps]
    assert [step_id(2)] == [record.id for record in session.unfinished]


def test_of_one_step_open_twice_the_fuller_record_stays() -> None:
    """Two readings of a black box differ in how much had been logged."""
    fuller = step(1, open=True, logs=[{"_t": T0}, {"_t": T0 + 1}])

    assert [fuller] == fold([step(1, open=True), fuller]).steps
    assert [fuller] == fold([fuller, step(1, open=True)]).steps


def test_two_finished_steps_with_one_id_are_both_kept() -> None:
    """Nothing recorded is thrown away, and the oddity is said."""
    session = fold([step(1), failed(1), step(2, 1)])

    assert 3 == len(session.steps)
    assert ["Finished steps that share the id of another (all are shown): 1"] == session.notices


@pytest.mark.parametrize("bad", [math.nan, math.inf, -1.0])
def test_a_duration_that_is_none_is_not_counted(bad: float) -> None:
    """One wrong number does not spoil the mean."""
    wrong = step(2)
    wrong.duration_ms = bad
    session = fold([step(1), wrong])

    assert 1000.0 == session.totals.avg_duration_ms
    assert ["Durations that are no number of milliseconds (not counted): 1"] == session.notices


def test_totals_count_each_outcome_once() -> None:
    """The five outcomes add up to the steps."""
    steps = [step(1), failed(2), step(3, outcome="cancelled"), step(4, outcome="skipped"), step(5, open=True)]
    totals = fold(steps).totals

    assert (5, 1, 1, 1, 1, 1) == totals[:6]
    assert 1000.0 == totals.avg_duration_ms


def test_an_empty_session_has_no_mean_and_no_times() -> None:
    """Unknown is None, not 0."""
    session = fold([])

    assert (None, None, None, None) == (
        session.totals.avg_duration_ms, session.started_at, session.ended_at, session.first_error,
    )  # fmt: skip


def test_the_summary_begins_as_the_older_package_s_did() -> None:
    """Programs that read its six keys go on working."""
    session = fold([step(1), failed(2)], info={"agent": "a", "session_id": "20240301_134022"})
    first_six = dict(list(session.summary().items())[:6])

    assert {
        "agent": "a", "session_id": "20240301_134022",
        "steps": 2, "ok": 1, "errors": 1, "avg_duration_ms": 1000.0,
    } == first_six  # fmt: skip
    json.dumps(session.summary(), allow_nan=False)


def test_tokens_and_cost_are_summed_by_model_and_unknown_stays_unknown() -> None:
    """What no step logged is None; how many steps a sum is made of is said."""
    session = fold([
        step(1, usage={"model": "large", "input_tokens": 10, "cost_usd": 0.25}),
        step(2, usage={"model": "large", "input_tokens": 5, "output_tokens": -1, "reasoning_tokens": "many"}),
        step(3, usage={"output_tokens": 7}),
        step(4),
    ])  # fmt: skip
    large, unnamed = (usage.to_dict() for usage in session.totals.usage)

    assert {
        "model": "large", "steps": 2, "input_tokens": 15, "output_tokens": None, "cached_tokens": None,
        "reasoning_tokens": None, "cost_usd": 0.25, "said": {"input_tokens": 2, "cost_usd": 1},
    } == large  # fmt: skip
    assert (None, 7) == (unnamed["model"], unnamed["output_tokens"])


def test_what_rides_on_lines_is_added_up() -> None:
    """Drops, masks and notices of all lines are the session's; its header is the first, its meta the last."""
    head = {"agent": "a", "session_id": "s", "trace_id": "t", "meta": {"v": 1}}
    drops = {"disk full": 1, "closed": 1}
    session = fold([
        step(1, session=head, redacted=2, dropped={"disk full": 3}),
        step(2, session={**head, "meta": {"v": 2}}, redacted=1, dropped=drops, notice=["moved"]),
        step(3, session={**head, "segment": 1, "agent": "child", "meta": {"v": 9}}),
    ])  # fmt: skip

    assert ("a", "s", "t", {"v": 2}) == (session.agent, session.id, session.trace_id, session.meta)
    assert (3, {"closed": 1, "disk full": 4}) == (session.redacted, session.dropped)
    assert ["moved"] == session.notices


def test_the_first_error_is_the_innermost_that_failed_first() -> None:
    """A failure that travels up through three steps began in the third."""
    steps = [
        failed(1, duration_ms=9000.0), failed(2, 1, duration_ms=7000.0), failed(3, 2, duration_ms=5000.0),
        step(4, 3), failed(5, 3, duration_ms=1000.0),
    ]  # fmt: skip
    session = fold(steps)

    assert steps[4] is session.first_error and steps[4] is session.fatal_error
    assert [step_id(1), step_id(2), step_id(3), step_id(5)] == [one.id for one in session.path_to(steps[4])]


def test_a_survived_error_is_the_first_but_not_the_fatal_one() -> None:
    """A retry that worked did not end the run."""
    survived, fatal = failed(2, 1), failed(4, 3)
    session = fold([step(1), survived, failed(3, duration_ms=9000.0), fatal])

    assert survived is session.first_error
    assert fatal is session.fatal_error


def test_a_step_is_found_by_its_id_or_the_beginning_of_it() -> None:
    """An ambiguous beginning finds nothing, and `find` says which there are."""
    session = fold([step(0x1111 << 48), step(0x1122 << 48)])

    assert session.steps[0] is session.get("1111")
    assert session.get("11") is None and session.get("ff") is None
    assert 2 == len(session.find("11"))


def test_fifty_thousand_parents_deep() -> None:
    """No depth crashes: nothing is recursive."""
    session = fold([failed(n, n - 1 if n else None, duration_ms=1e9 - n) for n in range(50_000)])

    assert 50_000 == len(session.path_to(session.steps[-1]))
    assert session.first_error is session.steps[-1]


def test_damage_and_files_are_passed_on_in_order() -> None:
    """What the reader found reaches whoever looks at the session."""
    damage = [Damage("b", 1, 1, "x"), Damage("a", 9, 1, "x"), Damage("a", 2, 1, "x")]
    session = fold([], damage=damage, state="died", paths=["a", "b"], size=12)

    assert [damage[2], damage[1], damage[0]] == session.damage
    assert ("died", ["a", "b"], 12) == (session.state, session.paths, session.size)


def test_a_header_cannot_speak_for_the_session() -> None:
    """Unknown keys of the header are kept; one named like a key of ours does not take its place."""
    head = {"agent": "a", "state": "fine", "steps": 7, "totals": {}, "colour": "blue", "pid": 5}
    plain = fold([step(1, session=head)], state="died").to_dict()

    assert ("died", 1, 1) == (plain["state"], plain["totals"]["steps"], len(plain["steps"]))
    assert ("blue", 5) == (plain["colour"], plain["pid"])


def test_unknown_keys_of_a_line_are_kept() -> None:
    """A newer writer's fields reach the snapshot; what belongs to the line or the session does not."""
    session = fold([step(1, colour="blue", len=99, session={"agent": "a"})])
    (plain,) = session.to_dict()["steps"]

    assert "blue" == plain["colour"]
    assert not {"len", "session"} & set(plain)
    assert T0 + 2 == plain["finished_at"]
