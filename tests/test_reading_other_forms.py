"""Old files open for ever, newer ones as far as they are understood; journals, boxes, segments become one
session."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ai_trace import alive, folder, merge, reader
from ai_trace.exceptions import NotATrace
from ai_trace.live import decode_box
from ai_trace.record import Record
from tests import sample
from tests.cli_world import call

FORMATS = Path(__file__).parent / "data" / "formats"
STEM = "agent_20240301_134022"


def put(folder_path: Path, name: str, raw: bytes) -> Path:
    path = folder_path / name
    path.write_bytes(raw)
    return path


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What becomes of a writer, by the host its box names, in place of locks and processes."""
    states: dict[str, str] = {}
    monkeypatch.setattr(alive, "state", lambda fd, header: states.get(header["host"], "running"))
    return states


def test_the_older_packages_lines_read_as_a_flat_session() -> None:
    """Its eight keys, with names made from the line's place; agent and time come from the file's name."""
    session = folder.load(FORMATS / "older_20240301_134022.jsonl")

    assert ("older", "20240301_134022", "ended", []) == (
        session.agent,
        session.id,
        session.state,
        session.damage,
    )
    assert ["line-000001", "line-000002", "line-000003"] == [step.id for step in session.steps]
    scan, decide, hold = session.steps
    assert ("market_scan", "ok", 500.0, {"symbol": "BTC"}) == (
        scan.name,
        scan.outcome,
        scan.duration_ms,
        scan.context,
    )
    assert [{"_t": sample.T0 + 0.25, "signal": 0.87, "action": "BUY"}] == scan.logs
    assert ("error", 'no "funds"', "NaN") == (decide.outcome, decide.error, decide.context["nan"])
    assert ("skipped", sample.T0 + 2.5) == (hold.outcome, hold.finished_at)


def test_the_older_packages_snapshot_reads_as_the_same_session() -> None:
    """Its .json has agent, id and meta; its steps are those of its lines."""
    path = FORMATS / "older_snapshot_20240301_134022.json"
    session = folder.load(path)
    lines = folder.load(FORMATS / "older_20240301_134022.jsonl")

    assert ("older snapshot", "20240301_134022", {"model": "m"}) == (session.agent, session.id, session.meta)
    assert [step.to_dict() for step in lines.steps] == [step.to_dict() for step in session.steps]
    assert ["market_scan", "decide", "hold"] == [step.name for step in reader.read(path)]


def test_what_the_older_packages_steps_logged_of_tokens_is_counted(tmp_path: Path) -> None:
    """By the same names and rules as in our own lines: sums, the last model, nothing guessed; and by `stats`."""
    said = [{"_t": 1.0, "model": "m", "input_tokens": 10}, {"_t": 2.0, "input_tokens": 5, "cost_usd": True}, "text"]
    row = {"name": "ask", "context": {"model": 7, "output_tokens": 2}, "started_at": 1.0, "duration_ms": 1.0,
           "outcome": "ok", "error": None, "logs": said}  # fmt: skip
    put(tmp_path, f"{STEM}.jsonl", json.dumps(row).encode() + b"\n" + json.dumps({**row, "logs": []}).encode() + b"\n")
    first, second = folder.load(tmp_path / f"{STEM}.jsonl").steps

    assert {"output_tokens": 2, "model": "m", "input_tokens": 15} == first.usage
    assert {"output_tokens": 2} == second.usage
    counted = json.loads(call("--dir", str(tmp_path), "stats", "--by", "model", "--json").out)
    assert {"m": 15, None: None} == {group["key"]: group["usage"]["input_tokens"] for group in counted["groups"]}


def test_format_1_reads_whole() -> None:
    """Every key of a line is at hand, and the session's own are in the session."""
    session = folder.load(FORMATS / "format1_20240301_134022.jsonl")
    plan, call = session.steps

    assert ("Ägent/one", {"env": "test"}, 3, {"ENOSPC": 3}) == (
        session.agent, session.meta, session.redacted, session.dropped,
    )  # fmt: skip
    assert ("worker", "Task-1", "é\u2028") == (plan.thread, plan.task, plan.context["goal"])
    assert {"model": "m-1", "input_tokens": 12, "output_tokens": 3, "cost_usd": 0.25} == plan.usage
    assert (plan.id, "ValueError: boom", "Traceback…\nValueError: boom") == (
        call.parent,
        call.error,
        call.traceback,
    )
    assert ["the disk was full"] == call.notice == session.notices


def test_unknown_keys_are_kept_and_change_nothing() -> None:
    """Lines with keys of a later version read the same; the keys stand in `data`, and their wrong length
    does no harm."""
    known = folder.load(FORMATS / "format1_20240301_134022.jsonl")
    more = folder.load(FORMATS / "format1_unknown_keys_20240301_134022.jsonl")

    assert [step.to_dict() for step in known.steps] == [step.to_dict() for step in more.steps]
    assert ("good", {"x": [1, 2]}) == (more.steps[0].data["mood"], more.steps[0].data["nested"])


def test_a_newer_format_is_read_as_far_as_it_is_understood() -> None:
    """Steps are steps, what is none is one damage, and one notice says why."""
    session = folder.load(FORMATS / "format99_20240301_134022.jsonl")

    assert ["plan", "call"] == [step.name for step in session.steps]
    assert ["not a step: an object without a step's keys"] == [damage.reason for damage in session.damage]
    assert 1 == len([text for text in session.notices if "format 99" in text])


def test_a_black_box_alone_is_a_session() -> None:
    """A session whose first step is still open has no journal yet: it is listed, loaded and read."""
    path = FORMATS / "format1_box_20240301_134022.live"
    session = folder.load(path)

    assert (
        ["plan", "call"]
        == [step.name for step in session.unfinished]
        == [step.name for step in reader.read(path)]
    )
    assert ["thinking", "still"] == [entry["message"] for entry in session.steps[0].logs]
    assert ("worker", True, None) == (
        session.steps[0].thread,
        session.steps[0].open,
        session.steps[0].outcome,
    )
    assert path.name.removesuffix(".live") in [entry.name for entry in folder.sessions(FORMATS)]


def test_stale_bytes_of_a_black_box_are_not_read() -> None:
    """Reading stops where numbers fall or differ or JSON ends; dead records are skipped but keep their
    count."""
    good = sample.box(sample.start(1), sample.log(1, m=1))
    stale = sample.box(sample.start(7, n=2)).split(b"\n", 1)[1]
    torn = good.replace(b'"z":2', b'"z":9')
    dead = sample.box(sample.start(1), sample.start(2), sample.log(2, m=2), sample.log(1, m=1))
    dead = dead.replace(b'{"n":2', b'#"n":2')

    assert ["0" * 15 + "1"] == [step.id for step in decode_box(good + stale).steps]
    assert len(good) == decode_box(good + stale).used
    assert [] == decode_box(torn).steps[0].logs
    assert [("0" * 15 + "1", [1])] == [
        (step.id, [log["m"] for log in step.logs]) for step in decode_box(dead).steps
    ]
    behind_dead = sample.box(sample.start(1), sample.start(2), sample.start(3)).replace(b'{"n":3', b'#"n":3')
    assert 2 == len(decode_box(behind_dead + stale.replace(b"}\n", b"}\n")).steps)
    assert [] == decode_box(b"\0" * 4096).steps and decode_box(b"").header is None


def test_journal_wins_over_black_box(tmp_path: Path, running: dict[str, str]) -> None:
    """A step in both has ended; logs of a step that is not open are nobody's."""
    put(tmp_path, f"{STEM}.jsonl", sample.journal(3))
    put(
        tmp_path,
        f"{STEM}.live",
        sample.box(sample.start(2), sample.start(9), sample.log(9, m=1), sample.log(44, m=2)),
    )
    session = folder.load(tmp_path / f"{STEM}.jsonl")

    assert ("running", 4, [sample.step_id(9)]) == (
        session.state, len(session.steps), [step.id for step in session.unfinished],
    )  # fmt: skip


def test_the_segments_of_forked_children_are_one_session(tmp_path: Path, running: dict[str, str]) -> None:
    """Segments and their boxes merge; one that runs makes the session run, one that died makes it died."""
    child = {**sample.SESSION, "segment": 1, "pid": 4243}
    main = put(tmp_path, f"{STEM}.jsonl", sample.journal(2))
    put(tmp_path, f"{STEM}.1.jsonl", sample.line("in child", n=10, parent=sample.step_id(1), session=child))
    put(tmp_path, f"{STEM}.1.live", sample.box(sample.start(11, "open in child"), session=child, host="one"))
    put(
        tmp_path,
        f"{STEM}.3.live",
        sample.box(sample.start(12), session={**child, "segment": 3}, host="three"),
    )
    running.update(one="died", three="running")
    (entry,) = folder.sessions(tmp_path)

    assert ("running", "agent", STEM, str(main), 4) == (
        entry.state, entry.agent, entry.name, entry.path, len(entry.paths),
    )  # fmt: skip
    for path in entry.paths:
        session = folder.load(path)
        assert ["step 1", "step 2", "in child", "open in child", "open"] == [
            step.name for step in session.steps
        ]
        assert 4242 == session.info["pid"]
    running.update(three="ended")
    assert "died" == entry.state == entry.load().state


def test_files_of_one_name_from_two_sessions_stay_two(tmp_path: Path) -> None:
    """Folders that were merged: the trace ids in the headers tell the sessions apart."""
    other = {**sample.SESSION, "trace_id": "f" * 32, "agent": "other"}
    put(tmp_path, f"{STEM}.jsonl", sample.journal(2))
    stranger = put(tmp_path, f"{STEM}.1.jsonl", sample.line("stranger", session=other))

    assert ["agent", "other"] == sorted(entry.agent for entry in folder.sessions(tmp_path))
    assert ["stranger"] == [step.name for step in folder.load(stranger).steps]


def test_the_true_name_of_the_agent_is_found_behind_a_huge_first_line(tmp_path: Path) -> None:
    """The header rides at the end of the first line, however long its context is."""
    header = {**sample.SESSION, "agent": "agent/∞"}
    put(
        tmp_path,
        f"{STEM}.jsonl",
        sample.line(context={"prompt": "x" * 300_000, "session": {"trace_id": "no"}}, session=header),
    )

    (entry,) = folder.sessions(tmp_path)
    assert ("agent/∞", sample.SESSION["trace_id"]) == (entry.agent, entry.trace_id)


def test_a_snapshot_beside_its_journal_is_no_second_session(tmp_path: Path) -> None:
    """A lone snapshot is a session; beside a journal it is a copy, still readable by its own path."""
    snapshot = {
        "agent": "agent",
        "session_id": "20240301_134022",
        "meta": {},
        "state": "running",
        # fmt: skip
        "steps": [
            {"name": "a", "context": {}, "outcome": "ok"},
            {"name": "b", "context": {}, "open": True},
            5,
        ],
    }
    path = put(tmp_path, f"{STEM}.json", json.dumps(snapshot).encode())
    assert [STEM] == [entry.name for entry in folder.sessions(tmp_path)]
    put(tmp_path, f"{STEM}.jsonl", sample.journal(3))
    (entry,) = folder.sessions(tmp_path)

    assert 3 == len(entry.load().steps)
    session = folder.load(path)
    assert (["a", "b"], ["b"], "unknown", 1) == (
        [step.name for step in session.steps], [step.name for step in session.unfinished], session.state,
        len(session.damage),
    )  # fmt: skip


def test_an_empty_journal_beside_a_living_box_is_fine(tmp_path: Path, running: dict[str, str]) -> None:
    """The writer made its journal and has ended no step yet."""
    path = put(tmp_path, f"{STEM}.jsonl", b"")
    put(tmp_path, f"{STEM}.live", sample.box())

    assert ([], "running") == (folder.load(path).steps, folder.load(path).state)
    assert [] == list(reader.read(path))


def test_a_half_line_is_damage_only_when_the_writer_is_gone(tmp_path: Path, running: dict[str, str]) -> None:
    """While it runs the half line is on its way; died, it is one damage; where nobody knows, a notice."""
    path = put(tmp_path, f"{STEM}.jsonl", sample.journal(2) + b'{"name":"on its w')
    put(tmp_path, f"{STEM}.live", sample.box(host="here"))

    for state, damage, notices in (("running", 0, 0), ("died", 1, 0), ("unknown", 0, 1)):
        running["here"] = state
        session = folder.load(path)
        assert (2, state, damage, notices) == (
            len(session.steps), session.state, len(session.damage), len(session.notices),
        )  # fmt: skip


def test_two_sessions_in_one_file_do_no_harm(tmp_path: Path) -> None:
    """Files put together by `cat`: all steps, and a notice."""
    other = sample.journal(2, session={**sample.SESSION, "trace_id": "f" * 32})
    session = folder.load(put(tmp_path, f"{STEM}.jsonl", sample.journal(2) + other))

    assert 4 == len(session.steps)
    assert any("2 sessions" in text for text in session.notices)


def test_a_folder_full_of_other_things(tmp_path: Path) -> None:
    """FIFOs, folders, links in a circle and files of other programs are passed over; nothing hangs or
    raises."""
    put(tmp_path, f"{STEM}.jsonl", sample.journal(2))
    put(tmp_path, "package.json", b'{"name": "package", "version": "1"}')
    put(tmp_path, "events.jsonl", b'{"event":"click"}\n')
    put(tmp_path, "renamed by hand.jsonl", sample.journal(1))
    put(tmp_path, f"{STEM}.live.new", b"{}")
    put(tmp_path, "notes_20240301_134022.md", b"# notes")
    (tmp_path / "folder_20240301_134022.jsonl").mkdir()
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "fifo_20240301_134022.jsonl")
        os.symlink("loop_20240301_134022.jsonl", tmp_path / "loop_20240301_134022.jsonl")
        with pytest.raises(NotATrace, match="not a regular file"):
            folder.load(tmp_path / "fifo_20240301_134022.jsonl")
        with pytest.raises(NotATrace):
            next(iter(reader.read(tmp_path / "fifo_20240301_134022.jsonl")))

    assert {STEM, "renamed by hand"} == {entry.name for entry in folder.sessions(tmp_path)}


def test_odd_folders_and_names_are_answered(tmp_path: Path) -> None:
    """No folder: no sessions. A file for a folder, a folder for a file, no file at all: NotATrace with the
    reason."""
    path = put(tmp_path, f"{STEM}.jsonl", sample.journal(2))

    assert [] == folder.sessions(tmp_path / "nowhere")
    with pytest.raises(NotATrace):
        folder.sessions(path)
    with pytest.raises(NotATrace, match="it is a folder"):
        folder.load(tmp_path)
    with pytest.raises(NotATrace, match="there is no such file"):
        folder.load(tmp_path / "nothing")
    with pytest.raises(NotATrace):
        next(iter(reader.read(tmp_path)))
    assert 2 == len(folder.load(str(path).removesuffix(".jsonl")).steps)


def test_sessions_come_newest_first_and_without_opening_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names tell agent and time; a list of sessions that began in different seconds opens none of them."""
    for stem in (
        "b_20240301_134021",
        "a_20240301_134023",
        "a_20240301_134022-2",
        "a_b_20231231_235959",
        "x_20249999_999999",
    ):
        put(tmp_path, f"{stem}.jsonl", sample.journal(1))
    monkeypatch.setattr(folder, "fetch", lambda *place: pytest.fail("a file was opened"))
    found = folder.sessions(tmp_path)

    order = [entry.name for entry in found if entry.name[0] != "x"]
    assert ["a_20240301_134023", "a_20240301_134022-2", "b_20240301_134021", "a_b_20231231_235959"] == order
    named = next(entry for entry in found if entry.name == "a_20240301_134022-2")
    assert ("20240301_134022-2", sample.T0, len(sample.journal(1))) == (
        named.id,
        named.started_at,
        named.size,
    )


def test_a_box_removed_while_it_is_read_means_a_clean_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer removes its box when it closes: a reader that held it open does not call that a death."""
    path = put(tmp_path, f"{STEM}.live", sample.box(sample.start(1)))

    def closing(fd: int, header: object) -> None:
        path.unlink()

    monkeypatch.setattr(alive, "state", closing)
    assert (None, "ended") == merge.box_and_state(str(path))


def test_what_a_writer_said_just_before_its_death_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step that began between the reading of the box and the death of its writer is not lost."""
    path = put(tmp_path, f"{STEM}.live", sample.box(sample.start(1, "before")))

    def last_words(fd: int, header: object) -> str:
        path.write_bytes(sample.box(sample.start(1, "before"), sample.start(2, "last")))
        return "died"

    monkeypatch.setattr(alive, "state", last_words)
    assert ["before", "last"] == [step.name for step in folder.load(path).unfinished]


def test_a_killed_writer_is_told_from_a_living_one(tmp_path: Path) -> None:
    """With real processes and locks: running while it lives, died when it was killed, with the open step."""
    pytest.importorskip("fcntl")
    program = (
        "import sys\n"
        "from ai_trace import Tracer\n"
        "step = Tracer('agent', sys.argv[1]).step('long call', prompt='hi').start()\n"
        "step.log('thinking')\n"
        "print('ready', flush=True)\n"
        "sys.stdin.read()\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[1],
    )  # fmt: skip
    with child:
        assert child.stdout is not None and b"ready\n" == child.stdout.readline()
        (entry,) = folder.sessions(tmp_path)
        while_living = entry.load()
        child.kill()
        child.wait()
    dead = entry.load()

    assert ("running", "died") == (while_living.state, dead.state)
    for session in (while_living, dead):
        (step,) = session.unfinished
        assert ("long call", {"prompt": "hi"}, ["thinking"]) == (
            step.name,
            step.context,
            [log["message"] for log in step.logs],
        )


def test_everything_read_is_a_record_with_plain_data() -> None:
    """Whatever the form, a step gives the same plain dict, and strict JSON can hold it."""
    for path in sorted(FORMATS.iterdir()):
        for record in reader.read(path):
            assert isinstance(record, Record)
            json.dumps(record.to_dict(), allow_nan=False)
