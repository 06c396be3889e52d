"""`ai-trace list`: the sessions of a folder at a glance, and for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ai_trace import folder
from tests.cli_world import START, World, line, step


@pytest.fixture(name="world")
def fixture_world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "traces")
    yield world
    world.release()


@pytest.fixture(name="three")
def fixture_three(world: World) -> World:
    """An old session that ended, one that died, and the newest, with an error."""
    world.session("trader", "20260225_061320", start=START)
    world.died("trader", "20260226_061320", start=START + 86400)
    world.session(
        "scout",
        "20260227_061320",
        start=START + 2 * 86400,
        steps=[
            step("look", started_at=START + 2 * 86400, duration_ms=1500),
            step("buy", "error", error="ValueError: no", started_at=START + 2 * 86400 + 2, duration_ms=500),
        ],
    )
    return world


def test_newest_first(three: World) -> None:
    """The newest session stands on top, each on a line with its agent, counts, state and size."""
    done = three.call("list")

    rows = done.out.splitlines()
    assert 0 == done.code
    assert ["SESSION", "AGENT", "STARTED", "DURATION", "STEPS", "ERRORS", "STATE", "SIZE"] == rows[0].split()
    assert ["20260227_061320", "20260226_061320", "20260225_061320"] == [row.split()[0] for row in rows[1:]]
    assert "2.50 s" in rows[1] and "failed" in rows[1] and "ended" in rows[3]
    assert "died" in rows[2] and "1+1" in rows[2]


def test_sessions_of_one_second_stand_in_the_order_in_which_they_began(world: World) -> None:
    """Whatever their agents and numbers: `list`, `latest` and `@-1` go by the true start, by the number without one."""
    for agent, id, start in (
        ("alpha", "20260225_061320", 0.9),
        ("zulu", "20260225_061320", 0.1),
        ("zulu", "20260225_061320-2", 0.3),
        ("zulu", "20260225_061320-10", 0.5),
        ("zulu", "20260225_061321", -7.0),  # a header that contradicts the name changes nothing
    ):
        world.session(agent, id, start=START + start)

    order = ["zulu_20260225_061321", "alpha_20260225_061320"]
    order += [f"zulu_20260225_061320{number}" for number in ("-10", "-2", "")]
    assert order == world.call("list", "-q").out.split()
    for back, name in enumerate(order):
        found = json.loads(world.call("view", f"@-{back}" if back else "latest", "--json").out)
        assert name == f"{found['agent']}_{found['session_id']}"


def test_sessions_of_one_second_without_headers_stand_by_their_numbers(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten is after two; of very many only the newest are opened, and all are listed."""
    world.path.mkdir()
    for number in range(1, 301):
        name = f"bot_20240301_120000-{number}" if number > 1 else "bot_20240301_120000"
        (world.path / f"{name}.jsonl").write_bytes(line(step("scan")))
    opened: set[str] = set()
    fetch = folder.fetch
    monkeypatch.setattr(folder, "fetch", lambda path, *where: opened.add(path) or fetch(path, *where))

    assert [*range(300, 0, -1)] == [entry.number for entry in folder.sessions(world.path)]
    assert len(opened) <= 256


def test_json_has_stable_keys(three: World) -> None:
    """`--json` is one document whose keys a program may count on."""
    listed = json.loads(three.call("list", "--json").out)

    keys = [
        "session",
        "agent",
        "session_id",
        "state",
        "outcome",
        "started_at",
        "duration_ms",
        "steps",
        "unfinished",
        "errors",
        "damage",
        "size",
        "path",
    ]
    assert [keys] * 3 == [list(one) for one in listed]
    newest = listed[0]
    assert ("scout_20260227_061320", "scout", 2, 1, 0) == (
        newest["session"],
        newest["agent"],
        newest["steps"],
        newest["errors"],
        newest["unfinished"],
    )
    assert START + 2 * 86400 == newest["started_at"]
    assert 2500.0 == newest["duration_ms"]
    assert ["ended", "died", "ended"] == [one["state"] for one in listed]


def test_jsonl_is_a_line_for_each(three: World) -> None:
    """`--jsonl` holds the same objects, one a line."""
    lines = three.call("list", "--jsonl").out.splitlines()

    assert json.loads(three.call("list", "--json").out) == [json.loads(one) for one in lines]


def test_quiet_is_names_that_view_takes(three: World) -> None:
    """`-q` prints names alone, and each of them is one that `view` knows."""
    names = three.call("list", "-q").out.splitlines()

    assert ["scout_20260227_061320", "trader_20260226_061320", "trader_20260225_061320"] == names
    assert [0, 0, 0] == [three.call("view", name).code for name in names]


def test_choosing(three: World) -> None:
    """-n, --agent, --state, --since and --until choose, and combine."""

    def names(*words: str) -> list[str]:
        return [name[-15:] for name in three.call("list", "-q", *words).out.splitlines()]

    assert ["20260227_061320"] == names("-n", "1")
    assert 3 == len(names("-n", "0"))
    assert ["20260226_061320", "20260225_061320"] == names("--agent", "trader")
    assert ["20260226_061320"] == names("--state", "died")
    assert 3 == len(names("--state", "died", "--state", "ended"))
    assert ["20260227_061320", "20260226_061320"] == names("--since", "2026-02-26T00:00:00Z")
    assert ["20260225_061320"] == names("--until", "2026-02-26T00:00:00Z")
    assert ["20260226_061320"] == names(
        "--since", "2026-02-26T00:00:00Z", "--until", "2026-02-26T12:00:00+02:00"
    )
    assert [] == names("--since", "10m")


def test_a_running_session_is_marked(world: World) -> None:
    """A session whose process lives says so, and its open steps are counted apart."""
    world.running()

    (facts,) = json.loads(world.call("list", "--json").out)
    assert ("running", 1, 1) == (facts["state"], facts["steps"], facts["unfinished"])


def test_damage_is_counted(world: World) -> None:
    """One torn line costs one line; the list says that the file is damaged."""
    path = world.session(steps=[step("a"), step("b")])
    with path.open("ab") as file:
        file.write(b'{"name":"torn","outco\n')

    (facts,) = json.loads(world.call("list", "--json").out)
    assert (2, 1) == (facts["steps"], facts["damage"])
    assert "damaged" in world.call("list").out


def test_a_missing_folder_is_an_empty_list(world: World) -> None:
    """For a program no folder is no session; a person is told on standard error."""
    assert (0, "[]\n", "") == world.call("list", "--json")
    done = world.call("list")
    assert (0, "") == done[:2]
    assert "no folder" in done.err


def test_the_table_is_short_and_says_so(world: World) -> None:
    """The table holds the newest twenty and says how to see the rest; `-n 0` and `--json` hold all."""
    for day in range(22):
        world.session(id=f"20260225_0613{day:02}", start=START + day)

    done = world.call("list")
    assert 21 == len(done.out.splitlines())
    assert "20 of 22 sessions; -n 0 shows all" in done.err
    assert 23 == len(world.call("list", "-n", "0").out.splitlines())
    assert 22 == len(json.loads(world.call("list", "--json").out))


def test_nothing_in_a_name_acts(world: World) -> None:
    """An agent called by escapes, or a file named so, is shown by them, not acted on."""
    world.session("agent", steps=[step("a")])
    path = world.session("x", "20260301_000000")
    evil = "\x1b]0;owned\x07\x9b31m\u202e"
    path.write_bytes(path.read_bytes().replace(b'"agent":"x"', b'"agent":' + json.dumps(evil).encode()))
    path.rename(path.with_name("x\x1b[2J_20260301_000000.jsonl"))

    for words in (
        ["list"],
        ["list", "-q"],
        ["list", "--json"],
        ["stats"],
        ["stats", "--by", "agent"],
        ["view", "latest"],
    ):
        done = world.call(*words)
        assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(done.out + done.err), words


def test_utc_shows_dates(world: World) -> None:
    """`--utc` replaces "3 m ago" by the date in UTC."""
    world.session()

    assert "2026-02-25 06:13:20Z" in world.call("list", "--utc").out


def test_other_files_are_no_sessions(world: World) -> None:
    """A README, a folder and an empty file beside the traces do no harm."""
    world.session()
    (world.path / "README.md").write_text("# mine\n")
    (world.path / "deep").mkdir()
    (world.path / "deep.jsonl").mkdir()
    (world.path / "note.txt").write_bytes(b"")

    assert ["trader_20260225_061320"] == world.call("list", "-q").out.splitlines()


def test_how_a_run_ended_is_seen(world: World) -> None:
    """A run whose last outermost step failed, or was cancelled, says so; one that handled an error does not."""
    world.session("crash", "20260225_061320", steps=[step("run", "error", error="KeyError: 'x'")])
    inner = step("call", "error", error="TimeoutError", id="a" * 16, parent="b" * 16)
    world.session("fine", "20260225_061321", steps=[inner, step("run", id="b" * 16)])
    world.session("exit", "20260225_061322", steps=[step("run", "cancelled", error="SystemExit: 3")])
    world.died("gone", "20260225_061323")

    listed = {one["agent"]: (one["state"], one["outcome"]) for one in json.loads(world.call("list", "--json").out)}
    assert {
        "crash": ("ended", "error"), "fine": ("ended", "ok"), "exit": ("ended", "cancelled"), "gone": ("died", None),
    } == listed  # fmt: skip
    rows = world.call("list").out.splitlines()[1:]
    assert ["✘ died", "⊘ cancelled", "○ ended", "✘ failed"] == [" ".join(row.split()[-4:-2]) for row in rows]

    def names(*states: str) -> list[str]:
        return world.call("list", "-q", *(word for state in states for word in ("--state", state))).out.split()

    assert ["crash_20260225_061320"] == names("failed")
    assert ["exit_20260225_061322", "crash_20260225_061320"] == names("failed", "cancelled")
    assert ["gone_20260225_061323", "crash_20260225_061320"] == names("failed", "died")
    assert 3 == len(names("ended")) == len(names("ended", "failed"))


def test_what_stands_in_the_first_column_names_one_session(world: World) -> None:
    """Two agents that began in one second have one id: their rows show the names, which `view` takes."""
    world.session("a")
    world.session("b")
    world.session("c", "20260225_061321", start=START + 1)

    first = [row.split()[0] for row in world.call("list").out.splitlines()[1:]]
    assert ["20260225_061321", "b_20260225_061320", "a_20260225_061320"] == first
    assert [0, 0, 0] == [world.call("view", word).code for word in first]
    assert "a_20260225_061320" in world.call("list", "--agent", "a").out
