"""A sealed journal is a chain: by the formula of its description alone anybody can check it, and trouble
with the disk does not break it."""

from __future__ import annotations

import glob
import hashlib
import hmac
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

import ai_trace
from ai_trace import Tracer, UsageError, disk, folder
from ai_trace.seal import ROOM, Chain, Seal
from ai_trace.sealed_journal import SealedJournal
from ai_trace.verify import verify
from tests import journals
from tests.children import run
from tests.faults.disk_double import FAULTS, FailingDisk, Fault, run_failing_each_call

unix = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


def _record(place: str | Path, count: int = 5, seal: bool | bytes | str = True, **options: Any) -> Path:
    with Tracer("bot", place, seal=seal, **options) as tracer:
        for n in range(count):
            with tracer.step("decide", n=n, text="é" * n) as step:
                step.log("done", price=1.5)
    return Path(str(tracer.path).replace(".1.jsonl", ".jsonl"))


def _by_the_book(path: Path, key: bytes | None = None) -> list[str]:
    """Each seal of *path*, derived from the description in `seal.py` with `hashlib` and `hmac` alone."""

    def digest(text: bytes) -> str:
        return (hashlib.sha256(text) if key is None else hmac.new(key, text, "sha256")).hexdigest()

    rows = path.read_bytes().splitlines(True)
    session = json.loads(rows[0])["session"]
    start = f"ai_trace seal 1\n{session['trace_id']}\n{session.get('segment', 0)}"
    last = "0" * 8 + digest(start.encode())
    seals = []
    for number, row in enumerate(rows, 1):
        before_h = row[: -64 - len(b'"}\n')]
        last = f"{number:08x}" + digest(last.encode() + before_h)
        seals.append(last)
    return seals


@pytest.mark.parametrize("seal", [True, b"a key", "ein Schlüssel", b"k" * 200], ids=str)
def test_each_line_carries_the_seal_that_the_description_says(tmp_path: Path, seal: bool | bytes | str) -> None:
    """`seal` is the last key of each line, `len` counts it, and it is derived with nothing of ours."""
    path = _record(tmp_path, seal=seal)

    key = None if seal is True else seal.encode() if isinstance(seal, str) else bytes(seal)
    lines = journals.lines(tmp_path)
    assert _by_the_book(path, key) == [line["seal"] for line in lines]
    assert ["seal"] * 5 == [list(line)[-1] for line in lines]
    assert ("sha256" if seal is True else "hmac-sha256") == lines[0]["session"]["seal"]


def test_a_seal_makes_a_line_longer_by_what_it_says() -> None:
    """`ROOM` is what the recorder has to leave in `len`."""
    line = b'{"len":1}\n'
    sealed, seal = Seal().sign(line, Seal().first("t", 0), 1)
    assert ROOM == len(sealed) - len(line)
    assert seal.decode() == json.loads(sealed)["seal"]
    assert Seal().fits(sealed, Seal().first("t", 0))
    assert not Seal().fits(sealed, Seal().first("t", 1))
    assert not Seal("key").fits(sealed, Seal("key").first("t", 0))


def test_without_seals_nothing_changes(tmp_path: Path) -> None:
    """No seal unless one is asked for, and not even the room that hashes the lines is imported."""
    code = (
        "import sys, ai_trace\n"
        "with ai_trace.Tracer('bot', sys.argv[1]) as tracer:\n"
        "    tracer.step('a').start().finish()\n"
        "print([m for m in sys.modules if m in ('hashlib', 'hmac', 'ai_trace.seal', 'ai_trace.sealed_journal')])\n"
    )
    assert "[]" == run(code, str(tmp_path)).stdout.strip()
    (line,) = journals.lines(tmp_path)
    assert "seal" not in line and "seal" not in line["session"]


def test_the_key_is_written_nowhere(tmp_path: Path) -> None:
    """Neither a file nor a message nor the tracer's own text shows it."""
    key = "correct horse battery staple"
    with Tracer("bot", tmp_path, seal=key) as tracer:
        with tracer.step("a"):
            pass
        tracer.save()
        assert key not in repr(tracer) + repr(vars(tracer))
    for path in tmp_path.iterdir():
        assert key.encode() not in path.read_bytes()


@pytest.mark.parametrize(
    "seal, options, says",
    [
        (b"", {}, "empty"),
        ("", {}, "empty"),
        (1, {}, "int"),
        (None, {}, "None"),
        (True, {"auto_save": False}, "auto_save"),
    ],
)
def test_wrong_seals_are_refused_at_construction(tmp_path: Path, seal: Any, options: Any, says: str) -> None:
    """An empty key, a number, or seals for a tracer that writes no journal: a sentence, at once."""
    with pytest.raises(UsageError, match=says):
        Tracer("bot", tmp_path, seal=seal, **options)


def _findings(place: str | Path, key: Seal | None = None) -> list[str]:
    reports = [verify(entry, key) for entry in folder.sessions(place)]
    return [finding.reason for report in reports for file in report.files for finding in file.findings]


def _after(kept: int) -> Fault:
    """Writes all but *kept* bytes, then says that the disk is full."""

    def act(method: str, call: Any, args: tuple[Any, ...]) -> Any:
        if method == "write":
            fd, data = args
            call(fd, data[: max(0, len(data) - kept)])
            raise OSError(28, "No space left on device")
        return call(*args)

    return Fault(f"all-but-{kept}", act)


@pytest.mark.parametrize("fault", [*FAULTS, _after(0), _after(1), _after(2), _after(70)], ids=repr)
def test_a_line_that_was_refused_or_cut_breaks_no_chain(fault: Fault) -> None:
    """Whatever call fails, what is in the file is one chain: the seals accuse nobody of what the disk did."""

    def scenario(place: str, double: FailingDisk) -> None:
        for act in (0, 1, 2, 3, 4):
            try:
                if act == 0:
                    scenario.tracer = Tracer("bot", place + "/traces", seal=True)  # type: ignore[attr-defined]
                tracer = scenario.tracer  # type: ignore[attr-defined]
                step = tracer.step("decide", n=act).start()
                step.finish()
            except (KeyboardInterrupt, UsageError, AttributeError):
                pass
        double.healed = True
        try:
            scenario.tracer.step("last").start().finish()  # type: ignore[attr-defined]
            scenario.tracer.close()  # type: ignore[attr-defined]
        except AttributeError:
            pass

    def check(place: str, double: FailingDisk, _: Any) -> None:
        reasons = _findings(place + "/traces")
        wrong = [reason for reason in reasons if "seal" in reason or "missing" in reason or "place" in reason]
        assert wrong == [], f"{fault} in call {double.nth}, {double.failed_in}: {reasons}"
        assert any(json.loads(row)["name"] == "last" for row in _whole_rows(place)), double.failed_in

    assert run_failing_each_call(scenario, check, fault) > 4


def _whole_rows(place: str) -> list[bytes]:
    found = []
    for path in glob.glob(place + "/traces/*.jsonl"):
        rows = Path(path).read_bytes().split(b"\n")
        found += [row for row in rows if row.startswith(b'{"name"') and row.endswith(b"}")]
    return found


@pytest.mark.parametrize("cut", [0, 1, 2, 3, 80])
def test_two_cut_writes_in_a_row_break_no_chain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: int
) -> None:
    """Behind a piece the next line begins with a newline: what is then cut short is measured with it."""
    path = tmp_path / "x.jsonl"
    left = [9, cut]

    class Cutting(disk.Disk):
        def write(self, fd: int, data: bytes) -> int:  # type: ignore[override]
            if not left:
                return os.write(fd, data)
            os.write(fd, data[: len(data) - left.pop(0)])
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(disk, "active", Cutting())
    book = SealedJournal(str(path), False, Seal(), "t", 0)
    for n in range(4):
        try:
            book.append(b'{"name":"a","context":{"n":%d},"len":100}\n' % n)
        except OSError:
            pass
    book.close()
    chain = Chain()
    whole = [row for row in path.read_bytes().split(b"\n") if row.startswith(b"{") and row.endswith(b"}")]
    session = {"trace_id": "t"}
    assert (3 if cut < 2 else 2) == len(whole)
    assert [""] * len(whole) == [chain.check(row + b"\n", session) for row in whole]


@pytest.mark.parametrize("what", ["delete", "truncate", "replace", "cut"])
def test_a_journal_that_somebody_took_goes_on_as_a_chain(tmp_path: Path, what: str) -> None:
    """Deleted or replaced: the new file is a chain of its own. Cut: what is missing is told, and no more."""
    from ai_trace import recorder

    before, recorder.CHECK_EVERY_NS = recorder.CHECK_EVERY_NS, 0
    try:
        with Tracer("bot", tmp_path, seal=True) as tracer:
            for n in range(3):
                tracer.step("a", n=n).start().finish()
            path = Path(tracer.path)
            raw = path.read_bytes()
            if what == "delete":
                path.unlink()
            elif what == "replace":
                path.unlink()
                path.write_bytes(raw)
            else:
                os.truncate(path, 0 if what == "truncate" else len(raw) - 5)
            for n in range(3):
                tracer.step("b", n=n).start().finish()
    finally:
        recorder.CHECK_EVERY_NS = before

    expected = {"delete": [], "replace": [], "truncate": ["3 lines before it are missing"]}
    if what == "cut":
        assert any("1 line before it is missing" in reason for reason in _findings(tmp_path))
    else:
        assert expected[what] == _findings(tmp_path)


@unix
def test_each_segment_is_a_chain_of_its_own(tmp_path: Path) -> None:
    """A forked child, and a tracer used again after its close: each file begins its chain, and says whose."""
    tracer = Tracer("bot", tmp_path, seal=True)
    tracer.step("parent").start().finish()
    child = os.fork()
    if not child:
        try:
            tracer.step("child").start().finish()
            tracer.step("child").start().finish()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    tracer.step("parent again").start().finish()
    tracer.close()

    (entry,) = folder.sessions(tmp_path)
    report = verify(entry)
    assert [] == _findings(tmp_path)
    sealed = [file.chain.sealed for file in report.files if file.path.endswith(".jsonl")]
    assert [2, 2] == sealed

    main, segment = (path for path in entry.paths if path.endswith(".jsonl"))
    a, b = Path(main).read_bytes(), Path(segment).read_bytes()
    swapped = b.replace(b'"segment":1,', b"")
    assert swapped != b
    Path(main).write_bytes(swapped)
    assert any("seal does not fit" in reason for reason in _findings(tmp_path))
    Path(main).write_bytes(a)


def test_readers_take_no_notice_of_seals(tmp_path: Path) -> None:
    """A sealed session loads as any other, and so does a line of the older reader's eight keys."""
    _record(tmp_path)
    (entry,) = ai_trace.sessions(tmp_path)
    session = ai_trace.load(entry)
    assert (5, [], []) == (len(session.steps), session.damage, session.notices)
    assert sys.getsizeof(session.steps[0].data["seal"]) > 72
