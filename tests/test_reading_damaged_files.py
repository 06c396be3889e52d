"""One bad line costs one line: whatever bytes are in a file, each whole step comes back and the damage is
told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from ai_trace import folder, reader
from ai_trace.exceptions import NotATrace
from ai_trace.line import decode
from ai_trace.live import decode_box
from ai_trace.packed import opened
from ai_trace.record import Damage, Record
from tests import mutate, sample

DATA = Path(__file__).parent / "data" / "damaged"
ANSWERS: dict[str, dict[str, Any]] = json.loads((DATA / "answers.json").read_text("ascii"))
SEED = int(os.environ.get("SEED", time.time_ns() % 1_000_000))
ROUNDS = int(os.environ.get("ROUNDS", 5000))


def everything(path: Path, check: bool = True) -> list[Record | Damage]:
    """All that is in a file whose writer is gone."""
    scan = reader.scan(path, check=check)
    return [*scan, *scan.last()]


def names(items: list[Record | Damage]) -> list[str]:
    return [item.name for item in items if isinstance(item, Record)]


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("name", sorted(ANSWERS))
def test_each_damaged_file_gives_what_the_table_says(name: str, check: bool) -> None:
    """Steps in order, and one damage with the right reason for each bad stretch, whether or not all is
    parsed."""
    answer = ANSWERS[name]
    items = everything(DATA / name, check)
    reasons = [item.reason for item in items if isinstance(item, Damage)]

    if not check and "trusted" in answer:  # damage that keeps a line's length, in the part that is skipped
        assert answer["trusted"] == names(items)
        return
    assert answer["steps"] == names(items)
    if answer["damage"] != ["*"]:
        assert len(answer["damage"]) == len(reasons)
        assert all(got.startswith(want) for want, got in zip(answer["damage"], reasons)), reasons


@pytest.mark.parametrize("name", sorted(ANSWERS))
def test_a_file_without_one_step_is_named_with_its_reason(name: str) -> None:
    """`read` and `load` raise NotATrace with a reason for a file that holds no step, and for no other."""
    wanted = ANSWERS[name].get("not_a_trace")
    for open_file in (lambda path: list(reader.read(path)), lambda path: folder.load(path).steps):
        if wanted is None:
            assert len(ANSWERS[name]["steps"]) == len(open_file(DATA / name))
        else:
            with pytest.raises(NotATrace) as caught:
                open_file(DATA / name)
            assert str(DATA / name) == caught.value.path
            assert caught.value.reason.startswith(wanted.partition(" (")[0])


@pytest.mark.parametrize("name", sorted(ANSWERS))
def test_damages_and_steps_lie_where_they_say(name: str) -> None:
    """Offset and length of each item cut it out of the file; they never overlap, and what is left is
    blank."""
    with opened(str(DATA / name)) as file:
        raw = file.pread(1 << 20, 0)
    end = 0
    for item in everything(DATA / name):
        assert not raw[end : item.offset].strip(b" \t\r\n\x0b\xef\xbb\xbf")
        assert item.offset >= end and item.length > 0
        end = item.offset + item.length
    assert not raw[end:].strip(b" \t\r\n\x0b\xef\xbb\xbf")


def test_a_mistyped_field_reads_as_its_absent_form() -> None:
    """A list for a name, a number for an error, a text for a time: nothing raises, and the original stays."""
    record = everything(DATA / "mistyped.jsonl")[0]

    assert isinstance(record, Record)
    assert (None, None, None, None, None) == (
        record.outcome, record.started_at, record.duration_ms, record.parent, record.error,
    )  # fmt: skip
    assert ({}, {}, {}, [], {}, 0) == (
        record.usage, record.context, record.session, record.notice, record.dropped, record.redacted,
    )  # fmt: skip
    assert [{"message": 1}, {"_t": 1e20}] == record.logs
    assert record.finished_at is None and record.traceback is None
    assert ["x"] == record.data["name"] and record.id == "line-000001"
    assert json.dumps(record.to_dict(), allow_nan=False)


def test_numbers_that_strict_json_cannot_hold_are_kept_as_text() -> None:
    """NaN, infinity and 5,000 digits come back as they were written, and can be written as strict JSON."""
    record = everything(DATA / "numbers.jsonl")[0]

    assert isinstance(record, Record)
    assert {"nan": "NaN", "inf": "-Infinity", "far": "1e999999", "digits": "9" * 5000} == record.context
    assert json.dumps(record.to_dict(), allow_nan=False)


def test_damage_in_the_part_that_is_skipped_is_found_when_everything_is_checked(tmp_path: Path) -> None:
    """A flipped quote deep in a line keeps its length: trusted without checking, damage with it, never an
    error."""
    good = sample.line("a", context={"q": "one"})
    path = tmp_path / "x.jsonl"
    path.write_bytes(good.replace(b'"one"', b'"one#'))

    assert [Damage] == [type(item) for item in everything(path)]
    (trusted,) = everything(path, check=False)
    assert isinstance(trusted, Record) and trusted.context == {} and trusted.logs == []
    assert trusted.notice == ["this step's line cannot be read: the file was changed or is damaged there"]


def test_mutated_files_keep_every_line_that_was_not_touched(tmp_path: Path) -> None:
    """Flips, insertions, deletions, swaps, glue, NUL runs and cuts: reading ends, nothing is raised, every
    untouched line comes back, in order, from the journal and through `load`."""
    print(f"SEED={SEED} ROUNDS={ROUNDS}")
    good = sample.journal(12)
    whole = {line: json.loads(line)["name"] for line in good.splitlines(keepends=True)}
    path = tmp_path / "agent_20240301_134022.jsonl"
    for round_number in range(ROUNDS):
        raw = mutate.mutated(good, seed=f"{SEED}.{round_number}")
        path.write_bytes(raw)
        for check in (True, False):
            got = names(everything(path, check))
            untouched = [whole[line] for line in raw.splitlines(keepends=True) if line in whole]
            rest = iter(got)
            assert all(name in rest for name in untouched), (
                f"round {round_number} of SEED={SEED}: {untouched} {got}"
            )
        if round_number % 20 == 0:
            try:
                folder.load(path).to_dict()
            except NotATrace:
                assert not names(everything(path))


def test_mutated_black_boxes_never_raise() -> None:
    """A black box of any bytes gives open steps or a problem in words."""
    records = (
        sample.start(1),
        sample.log(1, x=1),
        sample.start(2, parent=sample.step_id(1)),
        sample.log(2, y="z"),
    )
    good = sample.box(*records)
    for round_number in range(ROUNDS // 4):
        box = decode_box(mutate.mutated(good, seed=f"{SEED}.{round_number}"), "x.live")
        assert all(step.open and isinstance(step.logs, list) for step in box.steps)


BOMBS = {
    "a million open lists": b"[" * 1_000_000,
    "a million open objects": b'{"a":' * 1_000_000,
    "a deep context": b'{"name":"x","context":' + b"[" * 300_000 + b"]" * 300_000 + b"}",
    "a deep context behind text": b'{"name":"x","context":{"q":"'
    + b'\\"[' * 200_000
    + b'","d":'
    + b"[" * 1000,
    "a million equal keys": b'{"name":"x","outcome":"ok","context":{' + b'"k":1,' * 1_000_000 + b'"k":2}}',
    "different keys": b'{"name":"x","outcome":"ok","context":{'
    + b",".join(b'"%x":1' % n for n in range(200_000))
    + b"}}",
    "a long number": b'{"name":"x","outcome":' + b"9" * 1_000_000 + b"}",
    "torn steps glued": b'{"name":"x","outcome":"ok","context":{"q":"' * 100_000,
    "steps inside steps, torn": b'{"name":"x","outcome":"ok","context":' * 100_000,
    "quotes": b'"' * 2_000_000,
    "backslashes": b'{"name":"' + b"\\" * 2_000_001,
    "whole steps glued": b'{"name":"x","outcome":"ok"}' * 50_000,
    "opening braces and spaces": b'{"name":"x" {   ' * 100_000,
}


@pytest.mark.parametrize("name", sorted(BOMBS))
def test_json_bombs_end_in_a_record_or_a_damage(name: str) -> None:
    """Deep, wide, long and endless JSON: an answer in time linear in its bytes, even in a thread with a
    stack of 64 KiB, where a parser that recurses would kill the process."""
    found: list[Record | Damage] = []
    before = threading.stack_size(64 * 1024)
    try:
        thread = threading.Thread(target=lambda: found.extend(decode(BOMBS[name] + b"\n", "bomb")))
        thread.start()
    finally:
        threading.stack_size(before)
    thread.join()

    assert found
    assert all(isinstance(item, (Record, Damage)) for item in found)
    if name == "whole steps glued":
        assert 50_000 == len(found)


def test_reading_works_with_few_frames_left() -> None:
    """An app near its recursion limit gets an answer, not a RecursionError from a nested line."""
    line = sample.line(context={"deep": json.loads("[" * 150 + "]" * 150)})

    def at_depth(left: int) -> list[Record | Damage]:
        return decode(line) if left == 0 else at_depth(left - 1)

    used, frame = 0, sys._getframe()
    while frame is not None:  # type: ignore[comparison-overlap]
        used, frame = used + 1, frame.f_back  # type: ignore[assignment]
    found = at_depth(sys.getrecursionlimit() - used - 60)
    assert 1 == len(found)


def test_an_endless_line_costs_one_damage_and_no_memory(tmp_path: Path) -> None:
    """A hole of 300 MB without a newline is one damage with its length; a reader limited to half of that in
    memory gives the steps before and behind it."""
    if not os.path.exists("/proc/self/status"):
        pytest.skip("peak memory of a process is read from /proc")
    path = tmp_path / "x.jsonl"
    with open(path, "wb") as file:
        file.write(sample.line("a"))
        file.seek(300_000_000, os.SEEK_CUR)
        file.write(b"\n" + sample.line("b"))
    program = (
        "import sys\n"
        "from ai_trace import reader\n"
        "for item in reader.scan(sys.argv[1]):\n"
        "    print(getattr(item, 'reason', None) or item.name, item.length)\n"
        "peak = [line for line in open('/proc/self/status') if line.startswith('VmHWM')][0].split()[1]\n"
        "assert int(peak) < 150_000, peak  # kB; ru_maxrss would count the parent's\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, path], capture_output=True, text=True, cwd=Path(__file__).parents[1]
    )

    assert "" == done.stderr
    a = len(sample.line("a"))
    assert [f"a {a}", "a line longer than 64 MiB 300000001", f"b {a}"] == done.stdout.splitlines()


def test_a_nested_step_of_a_torn_line_is_not_taken_for_a_step() -> None:
    """An agent that logs objects which look like steps: torn, they do not become steps of the session."""
    inner = json.loads(sample.line("inner", n=7))
    torn = sample.line("outer", context={"seen": [inner, inner]})[:-30]

    assert [Damage] == [type(item) for item in decode(torn + b"\n")]


def test_a_line_shed_is_read_again_and_a_changed_file_is_noticed(tmp_path: Path) -> None:
    """A step let go of its bytes finds them in the file; where other bytes stand now it says so."""
    path = tmp_path / "x.jsonl"
    path.write_bytes(sample.journal(3))
    records = [item for item in reader.scan(path) if isinstance(item, Record)]
    before = [record.to_dict() for record in records]
    for record in records:
        record.shed()

    assert before == [record.to_dict() for record in records]
    assert sample.SESSION == records[0].session
    for record in records:
        record.shed()
    path.write_bytes(b"x" * 5000)
    assert {} == records[1].context
    path.unlink()
    assert [] == records[2].logs and records[2].name == "step 3"
