"""A journal cut at any byte gives exactly the steps whose line is whole, and one damage for the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from ai_trace import folder, lines, reader
from ai_trace.exceptions import NotATrace
from ai_trace.live import decode_box
from ai_trace.record import Damage, Record
from tests import sample

GOOD = sample.journal(20)
ENDS = [end for end in range(1, len(GOOD) + 1) if GOOD[end - 1 : end] == b"\n"]


def test_scan_at_every_cut(tmp_path: Path) -> None:
    """Each whole line is a step; the half line is held apart, with the offset at which to go on; nobody
    calls it damage while its writer may live. Once he is gone it is one damage, or a step that lacks only
    its newline."""
    path = tmp_path / "agent_20240301_134022.jsonl"
    path.write_bytes(GOOD)
    for cut in range(len(GOOD), -1, -1):
        with open(path, "r+b") as file:
            file.truncate(cut)
        whole = sum(end <= cut for end in ENDS)
        begin = ENDS[whole - 1] if whole else 0
        scan = reader.scan(path, check=False)
        items = list(scan)

        assert [f"step {n}" for n in range(1, whole + 1)] == [
            item.name for item in items if isinstance(item, Record)
        ]
        assert whole == len(items)
        assert (begin, GOOD[begin:cut], cut - begin, whole) == (
            scan.offset,
            scan.tail,
            scan.pending,
            scan.lines,
        )
        last = scan.last()
        if cut + 1 in ENDS:
            assert [Record] == [type(item) for item in last]
        elif cut == begin:
            assert [] == last
        else:
            assert [
                Damage(str(path), begin, cut - begin, "cut off: no newline at the end", whole + 1)
            ] == last


def test_load_at_every_cut(tmp_path: Path) -> None:
    """The session of a cut journal has the whole steps and one damage; with no whole step it is no trace."""
    path = tmp_path / "agent_20240301_134022.jsonl"
    for cut in (0, 1, 40, *(end + more for end in ENDS for more in (-2, -1, 0, 1, 60))):
        path.write_bytes(GOOD[:cut])
        whole = sum(end <= cut + 1 for end in ENDS)
        if not whole:
            with pytest.raises(NotATrace):
                folder.load(path)
            continue
        session = folder.load(path)
        rest = len(GOOD[:cut]) not in ENDS and len(GOOD[:cut]) + 1 not in ENDS
        assert (whole, int(rest), "ended") == (len(session.steps), len(session.damage), session.state)


def test_a_scan_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """Reading a file that grows byte by byte, each time from the offset before: each step exactly once."""
    path = tmp_path / "agent_20240301_134022.jsonl"
    seen: list[str] = []
    offset = 0
    with open(path, "wb") as file:
        for byte in range(len(GOOD)):
            file.write(GOOD[byte : byte + 1])
            file.flush()
            scan = reader.scan(path, offset)
            seen += [item.name for item in scan if isinstance(item, Record)]
            offset = scan.offset

    assert [f"step {n}" for n in range(1, 21)] == seen


def test_the_last_lines_are_found_from_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading backwards finds where the last n whole lines begin, however the blocks fall."""
    path = tmp_path / "x.jsonl"
    starts = [0, *ENDS]
    for block in (1, 7, 100, 1 << 18):
        monkeypatch.setattr(lines, "BLOCK", block)
        for half in (b"", b'{"name":'):
            path.write_bytes(GOOD + half)
            for count in (1, 2, 19, 20):
                assert starts[20 - count] == lines.last_lines(str(path), count)
            assert 0 == lines.last_lines(str(path), 50)
    path.write_bytes(b"")
    assert 0 == lines.last_lines(str(path), 5)


def test_a_black_box_cut_at_every_byte() -> None:
    """Only whole records count: a step and its logs up to the cut."""
    good = sample.box(
        sample.start(1), sample.log(1, m=1), sample.start(2), sample.log(2, m=2), sample.log(1, m=3)
    )
    ends = [end for end in range(1, len(good) + 1) if good[end - 1 : end] == b"\n"]
    wanted = [[], [], [[]], [[1]], [[1], []], [[1], [2]], [[1, 3], [2]]]
    for cut in range(len(good) + 1):
        box = decode_box(good[:cut], "x.live")
        whole = sum(end <= cut for end in ends)
        assert wanted[whole] == [[entry["m"] for entry in step.logs] for step in box.steps]
        assert (whole > 0) == (box.header is not None)
