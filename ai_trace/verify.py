"""Every line of a session, checked: what is no step, what was edited, what the seals say.

Each line is parsed as a whole. A finding says where it lies, what is wrong, and how many whole steps stand
before and after it, so that one knows what it cost. Memory is bounded by the longest line and by
`MOST_FINDINGS` of a file; all are counted.

A finding is not always a fault of the recorder: editors, `git` with its line ends and other programs change
files, too. A half line at the end of a running session is no finding: it is being written.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterator
from typing import Any, Final, NamedTuple

from .folder import Entry
from .line import decode
from .lines import BLOCK, TOO_LONG, Lines, last_line
from .live import Box
from .merge import box_and_state, together
from .packed import opened, stem
from .record import Damage, Record
from .seal import Chain, Seal, seal_in
from .sniff import refusal, snapshot

__all__ = ["File", "Finding", "Report", "lines", "not_strict", "verify", "wrong_length"]

MOST_FINDINGS: Final = 1000  # of one file, kept; a file of another kind may hold millions


class Finding(NamedTuple):
    """One place that is not as a recorder leaves it."""

    offset: int  # bytes from the start of the file
    length: int  # bytes
    line: int | None  # from 1
    reason: str  # without the bytes themselves
    before: int  # whole steps of this file that stand before it
    steps: int  # whole steps that stand in it


class File:
    """One file of a session, checked.

    Attributes:
        path, size: the file, and how many bytes of it were read.
        steps: whole steps in it.
        findings: the first `MOST_FINDINGS`; `found` counts all.
        chain: what its seals say.
        expected: seal -> how many sealed lines stand behind the one that carries it, for the seals asked for.
    """

    def __init__(self, path: str, key: Seal | None = None, expect: Collection[str] = ()) -> None:
        self.path = path
        self.size = self.steps = self.found = 0
        self.findings: list[Finding] = []
        self.chain = Chain(key)
        self._wanted = frozenset(expect)
        self._seen: dict[str, int] = {}

    @property
    def expected(self) -> dict[str, int]:
        return {seal: self.chain.sealed - place for seal, place in self._seen.items()}

    def after(self, finding: Finding) -> int:
        """How many whole steps stand after *finding*."""
        return self.steps - finding.before - finding.steps

    def add(self, offset: int, length: int, line: int | None, reason: str, steps: int = 0) -> None:
        """Count a finding, and keep it while there is room."""
        self.found += 1
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(Finding(offset, length, line, reason, self.steps, steps))

    def take(self, raw: bytes, offset: int, line: int | None, items: list[Record | Damage]) -> None:
        """Take in what the reader made of one line, *raw* at *offset*."""
        if len(items) > 1 and all(isinstance(item, Record) for item in items):
            self.add(offset, len(raw), line, f"{len(items)} steps on one line", len(items))
        for item in items:
            if isinstance(item, Damage):
                self.add(item.offset, item.length, line, item.reason)
                continue
            start = item.offset - offset
            reasons = self._wrong_with(item, raw[start : start + item.length])
            if start and item is items[0]:
                reasons.append("white space or a byte order mark stands before it")
            if reasons:
                self.add(item.offset, item.length, line, "; ".join(reasons), 1)
            self.steps += 1

    def _wrong_with(self, step: Record, raw: bytes) -> list[str]:
        told = self.chain.check(raw, step.session)
        seal = seal_in(raw) if self._wanted and not told else None
        if seal is not None and seal.decode() in self._wanted:
            self._seen[seal.decode()] = self.chain.sealed
        return [reason for reason in (told, wrong_length(step, raw), not_strict(raw)) if reason]


class Report:
    """One session, checked: its `files`, its `state`, and what `expect` asked for that none of them has."""

    def __init__(self, name: str, state: str, files: list[File]) -> None:
        self.name = name
        self.state = state
        self.files = files

    @property
    def steps(self) -> int:
        return sum(file.steps for file in self.files)

    @property
    def found(self) -> int:
        return sum(file.found for file in self.files)

    @property
    def sealed(self) -> str:
        """ "sha256" or "hmac-sha256" where a line is sealed, else ""."""
        return next((file.chain.kind for file in self.files if file.chain.kind), "")

    @property
    def proved(self) -> bool:
        """Whether all seals could be checked; False for those of a key that was not given."""
        return all(file.chain.proved for file in self.files)


def verify(
    entry: Entry, key: Seal | None = None, expect: Collection[str] = (), tick: Callable[[int], object] | None = None
) -> Report:
    """Check the session *entry*.

    Args:
        key: what each line must be sealed with; None takes sealed and unsealed sessions as they are.
        expect: seals to look for, as `Chain.head` gives them.
        tick: is told how many bytes were read.

    A file that cannot be read is a finding of its own.
    """
    boxes = {path: box_and_state(path) for path in entry.paths if path.endswith(".live")}
    state = together([found for _, found in boxes.values()])
    journals = [path for path in entry.paths if path not in boxes]
    files = [_checked(path, state == "running", File(path, key, expect), tick) for path in journals]
    for path, (box, _) in boxes.items():
        if box is not None:
            files.append(_check_box(File(path), box, files))
    if key is not None or any(file.chain.sealed for file in files):
        for file in files:
            if file.chain.bare and not file.chain.sealed:
                file.add(0, file.size, None, "none of its lines is sealed")
    return Report(entry.name, state, files)


def lines(
    path: str, held: Lines, tick: Callable[[int], object] | None = None
) -> Iterator[tuple[int, bytes, list[Record | Damage]]]:
    """(offset, bytes, what they hold) of each line of *path*; *held* keeps the half line at the end."""
    with opened(path) as file:
        for block in file.blocks(BLOCK):
            for offset, length, raw in held.feed(block):
                if raw is None:
                    yield offset, b"", [Damage(path, offset, length, TOO_LONG, held.count)]
                else:
                    yield offset, raw, decode(raw, path, offset, held.count)
            if tick is not None:
                tick(len(block))
        held.problem = file.problem


def _checked(path: str, running: bool, file: File, tick: Callable[[int], object] | None) -> File:
    try:
        return _check(path, running, file, tick)
    except OSError as error:
        file.add(file.size, 0, None, refusal(error))
        return file


def _check(path: str, running: bool, file: File, tick: Callable[[int], object] | None) -> File:
    whole = snapshot(path) if path.endswith(".json") else None
    if whole is not None:
        file.size, file.steps = os.path.getsize(path), len(whole.steps)
        for damage in whole.damage:
            file.add(damage.offset, damage.length, damage.line, damage.reason)
        return file
    held = Lines()
    for offset, raw, items in lines(path, held, tick):
        file.take(raw, offset, held.count, items)
    file.size = held.offset + held.size
    if (held.size or held.problem) and not running:
        file.take(held.tail, held.offset, (held.count or 0) + 1, last_line(path, held))
    return file


def _check_box(file: File, box: Box, journals: list[File]) -> File:
    """What is wrong with a black box; it also knows how long its journal was, so a cut-off end shows."""
    file.size = os.path.getsize(file.path) if os.path.exists(file.path) else 0
    for problem in box.problems:
        file.add(0, file.size, None, problem)
    journal = next((journal for journal in journals if stem(journal.path) == stem(file.path)), None)
    if journal is None and box.at:
        file.add(0, 0, None, f"its journal is missing; it had {box.at:,} bytes")
    elif journal is not None and journal.size < box.at:
        missing = f"{box.at - journal.size:,} bytes are missing at its end, as its black box tells"
        journal.add(journal.size, 0, None, missing)
    return file


def wrong_length(step: Record, raw: bytes) -> str:
    """How the `len` in a step's line *raw* is not its length; "" where it is, or where the line has none."""
    said = step.data.get("len")
    length = len(raw) + (not raw.endswith(b"\n"))
    if type(said) is not int or said == length:
        return ""
    return f"edited: it says it has {said:,} bytes, and has {length:,}"


def not_strict(raw: bytes) -> str:
    """Why *raw*, which our reader takes for a step, is no strict JSON (RFC 8259); "" where it is."""
    try:
        _STRICT.decode(raw.decode("utf-8"))
    except ValueError as error:
        return f"not strict JSON: {error}"
    return ""


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def _no_twins(pairs: list[tuple[str, Any]]) -> None:
    if len(pairs) > 1 and len(dict(pairs)) < len(pairs):
        raise ValueError("a key stands twice in one object")


# Numbers need no value here, and a value of 5,000 digits would be refused.
_STRICT: Final = json.JSONDecoder(
    object_pairs_hook=_no_twins, parse_constant=_no_constant, parse_int=len, parse_float=len
)

