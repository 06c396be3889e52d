"""`ai-trace stats`: numbers that hold on any folder, and never a number that nobody knows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ai_trace.cli.output import Output
from ai_trace.cli.stats import _keys
from tests.cli_world import START, World, step


@pytest.fixture(name="world")
def fixture_world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "traces")
    yield world
    world.release()


def stats(world: World, *words: str) -> dict[str, Any]:
    done = world.call("stats", "--json", *words)
    assert (0, "") == (done.code, done.err)
    found: dict[str, Any] = json.loads(done.out)
    return found


def test_counts_rates_and_percentiles(world: World) -> None:
    """Per step name: count, error rate, total, and percentiles by nearest rank: values that occurred."""
    world.session(
        steps=[
            *(step("think", duration_ms=ms, started_at=START + ms) for ms in range(1, 101)),
            step("act", "error", duration_ms=7, error="ValueError: no"),
            step("act", duration_ms=9),
        ]
    )

    found = stats(world)
    assert (1, 102, {"ok": 101, "error": 1}) == (found["sessions"], found["steps"], found["outcomes"])
    think, act = found["groups"]
    expected = {"key": "think", "count": 100, "errors": 0, "error_rate": 0.0, "total_ms": 5050.0}
    assert expected == {key: think[key] for key in expected}
    assert [50, 95, 99, 100] == [think[key] for key in ("p50_ms", "p95_ms", "p99_ms", "max_ms")]
    assert ("act", 2, 1, 0.5, 7, 9) == tuple(
        act[key] for key in ("key", "count", "errors", "error_rate", "p50_ms", "max_ms")
    )


def test_unknown_is_unknown(world: World) -> None:
    """Tokens and cost that no step logged are null and "-", never 0."""
    world.session(
        steps=[
            step("free"),
            step("paid", usage={"model": "m", "input_tokens": 10, "output_tokens": 2, "cost_usd": 0.1}),
            step("paid", usage={"model": "m", "input_tokens": 5, "cost_usd": 0.2}, started_at=START + 1),
        ]
    )

    found = stats(world)
    usage = {row["key"]: row["usage"] for row in found["groups"]}
    assert {} == usage["free"].pop("said")
    assert {None} == set(usage["free"].values())
    assert {"input_tokens": 2, "output_tokens": 1, "cost_usd": 2} == usage["paid"]["said"]
    assert (15, 2, None, 0.3) == tuple(
        usage["paid"][key] for key in ("input_tokens", "output_tokens", "reasoning_tokens", "cost_usd")
    )
    rows = {row.split()[0]: row.split() for row in world.call("stats").out.splitlines() if row.strip()}
    assert ["-", "-", "-"] == rows["free"][-3:]
    assert ["15", "2", "$0.3000"] == rows["paid"][-3:]
    assert "REASONING" not in " ".join(rows)


@pytest.mark.parametrize(
    "by, keys",
    [
        ("name", {"plan", "act"}),
        ("agent", {"scout", "trader"}),
        ("model", {"big", None}),
        ("session", {"scout_20260226_061320", "trader_20260225_061320"}),
    ],
)
def test_by(world: World, by: str, keys: set[str | None]) -> None:
    """Rows stand for names, agents, sessions or models; steps without a model have a row of their own."""
    for agent, id in (("trader", "20260225_061320"), ("scout", "20260226_061320")):
        world.session(agent, id, [step("plan", usage={"model": "big", "input_tokens": 3}), step("act")])

    assert keys == {row["key"] for row in stats(world, "--by", by)["groups"]}
    assert 0 == world.call("stats", "--by", by).code


def test_chosen_sessions_and_since(world: World) -> None:
    """Sessions may be named, and `--since` counts only steps that began then or later."""
    world.session("a", "20260225_061320", [step("x", started_at=START), step("x", started_at=START + 60)])
    world.session("b", "20260226_061320", [step("x", started_at=START + 86400)], start=START + 86400)

    assert 3 == stats(world)["steps"]
    assert 2 == stats(world, "a_")["steps"]
    assert 1 == stats(world, "latest")["steps"]
    assert 3 == stats(world, "@-1", "b")["steps"]
    assert 2 == stats(world, "--since", "2026-02-25T06:14:00Z")["steps"]
    assert (0, []) == (lambda found: (found["steps"], found["groups"]))(stats(world, "--since", "5m"))


def test_damage_and_hostile_numbers_are_counted_apart(world: World) -> None:
    """Lines that are no step, and durations that are no number, are counted and do not spoil the rest."""
    path = world.session(steps=[step("good", duration_ms=10)])
    with path.open("ab") as file:
        file.write(b'5\nnull\n[1,2]\n"x"\n{"name":"torn\n\xff\xfe\n')
        file.write(b'{"name":"nan","outcome":"ok","started_at":1,"duration_ms":NaN,"context":{},"logs":[]}\n')
        file.write(
            b'{"name":"odd","outcome":"ok","started_at":"x","duration_ms":"x","context":[1],"logs":[1],"error":5}\n'
        )
        file.write(
            b'{"name":"back","outcome":"ok","started_at":1,"duration_ms":-10000.0,"context":{},"logs":[]}\n'
        )

    found = stats(world)
    assert 6 <= found["damage"] <= 7  # NaN is no JSON: a step without a duration, or damage
    good = next(row for row in found["groups"] if row["key"] == "good")
    assert (1, 10, 10) == (good["count"], good["total_ms"], good["max_ms"])
    assert found["durations_unknown"] >= 2
    done = world.call("stats")
    assert 0 == done.code and "places in the files that are no step" in done.out


def test_drops_masks_and_unfinished_are_shown(world: World) -> None:
    """What could not be written, what was masked and what never ended are part of the numbers."""
    world.died(steps=[step("a", dropped={"No space left on device": 3}), step("b", redacted=2)])

    found = stats(world)
    assert (3, 2, 1) == (found["dropped"], found["redacted"], found["unfinished"])
    assert {"died": 1} == found["states"]
    out = world.call("stats").out
    assert "3 steps or logs that could not be written" in out and "2 values masked" in out


def test_an_empty_folder_is_no_division_by_zero(world: World) -> None:
    """A session without steps counts as a session; no session at all ends with exit code 1 and a sentence."""
    done = world.call("stats")
    assert (1, "") == done[:2] and "no folder" in done.err

    world.path.mkdir()
    assert 1 == world.call("stats").code
    world.died(steps=[], open_steps=[])
    assert 0 == world.call("stats").code


def test_what_tells_the_rows_apart_is_never_cut(world: World) -> None:
    """Sessions of an agent with a long name differ at the end of their keys: into a pipe these are whole."""
    ids = [f"20260225_06132{n}" for n in range(3)]
    for id in ids:
        world.session("a_trading_agent_that_has_a_rather_long_name", id)

    rows = world.call("stats", "--by", "session", COLUMNS="60").out.splitlines()[-3:]
    assert {f"a_trading_agent_that_has_a_rather_long_name_{id}" for id in ids} == {row.split()[0] for row in rows}


def test_one_is_told_in_the_singular(world: World) -> None:
    """A single damage is a place, not places."""
    path = world.session(steps=[step("a")])
    with path.open("ab") as file:
        file.write(b"garbage\n")

    assert "1 place in the files that is no step" in world.call("stats").out


@pytest.mark.parametrize("keys, shown", [
    (["x" * 90], ["x" * 43 + "…"]),
    (["x" * 90 + "1", "x" * 90 + "2"], ["x" * 90 + "1", "x" * 90 + "2"]),
    (["x" * 90 + "1", "y" * 90, None], ["x" * 43 + "…", "y" * 43 + "…", "-"]),
])  # fmt: skip
def test_on_a_terminal_keys_are_cut_while_they_still_differ(keys: list[str | None], shown: list[str]) -> None:
    """A long key is shortened there, unless two rows would look the same."""
    out = Output()
    out.terminal, out.ascii, out.width = True, False, 200
    assert shown == _keys(keys, 0, out)
