"""What an agent saw is nobody else's business: modes, symlinks, and no secret in any byte written."""

from __future__ import annotations

import os
import stat
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ai_trace
from ai_trace import clock
from tests.faults.crash_states import RecordingDisk

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="modes and symlinks as POSIX has them")

STAMP_NS = 1_709_300_422_000_000_000
STEM = "agent_20240301_134022"


@pytest.fixture
def fixed_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The session's label, and so the names of its files, are known beforehand."""

    class Fixed(clock.Clock):
        wall_ns = staticmethod(lambda: STAMP_NS)

    monkeypatch.setattr(clock, "active", Fixed())


@pytest.fixture(params=[0, 0o022, 0o077, 0o777], ids=lambda mask: f"umask-{mask:03o}")
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def _mode(path: str | os.PathLike[str]) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


def test_files_are_0600_and_our_folder_0700_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    """Journal, black box and snapshots are for their owner alone, and for their owner they are readable."""
    folder = tmp_path / "deep" / "traces"
    try:
        tracer = ai_trace.Tracer("agent", folder)
        with tracer.step("step"):
            tracer.save()
            tracer.save_markdown()
            found = {path.suffix: _mode(path) for path in folder.iterdir()}
        tracer.close()
        assert found == dict.fromkeys((".jsonl", ".live", ".json", ".md"), 0o600)
        assert _mode(folder) == 0o700
    finally:
        for path in (tmp_path / "deep", folder):
            if path.exists():
                os.chmod(path, 0o700)


def test_a_folder_that_was_there_keeps_its_mode(tmp_path: Path) -> None:
    """A folder that somebody shares on purpose stays shared; the files in it are private all the same."""
    os.chmod(tmp_path, 0o755)
    with ai_trace.Tracer("agent", tmp_path) as tracer:
        with tracer.step("step"):
            pass
    assert _mode(tmp_path) == 0o755
    assert _mode(tracer.path) == 0o600


@pytest.mark.parametrize("suffix", [".jsonl", ".live", ".live.new", ".json", ".md"])
def test_a_planted_symlink_is_not_followed(suffix: str, tmp_path: Path, fixed_clock: None) -> None:
    """Under each name that we are about to use lies a link to another file: that file stays as it was."""
    victim = tmp_path / "victim"
    victim.write_text("precious\n")
    folder = tmp_path / "traces"
    folder.mkdir()
    (folder / f"{STEM}{suffix}").symlink_to(victim)
    with ai_trace.Tracer("agent", folder) as tracer:
        with tracer.step("step", text="x" * 100):
            pass
        tracer.save()
        tracer.save_markdown()
    assert victim.read_text() == "precious\n"
    assert not os.path.islink(tracer.path)
    (entry,) = [e for e in ai_trace.sessions(folder) if e.path == str(tracer.path)]
    assert [step.name for step in entry.load().steps] == ["step"]


@pytest.mark.parametrize("suffix", [".jsonl", ".live"])
@pytest.mark.parametrize("kind", ["fifo", "folder", "hardlink", "dangling"])
def test_something_else_under_our_name_is_left_alone(
    suffix: str, kind: str, tmp_path: Path, fixed_clock: None
) -> None:
    """A FIFO does not hang us, a folder does not stop us, a hard link is not written through: the next
    name is.
    """
    folder = tmp_path / "traces"
    folder.mkdir()
    place, other = folder / f"{STEM}{suffix}", tmp_path / "other"
    other.write_text("precious\n")
    if kind == "fifo":
        os.mkfifo(place)
    elif kind == "folder":
        place.mkdir()
    elif kind == "hardlink":
        os.link(other, place)
    else:
        place.symlink_to(tmp_path / "nowhere")
    with ai_trace.Tracer("agent", folder) as tracer:
        with tracer.step("step"):
            pass
    assert other.read_text() == "precious\n" and not (tmp_path / "nowhere").exists()
    assert tracer.session_id == "20240301_134022-2"
    assert [step.name for step in ai_trace.load(tracer.path).steps] == ["step"]


@pytest.mark.parametrize("kind", ["symlink", "hardlink", "fifo", "folder"])
def test_a_guessed_temporary_name_is_not_written_through(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even who knows the random name beforehand gains nothing: no snapshot, a counted drop, his file as it was."""
    victim = tmp_path / "victim"
    victim.write_text("precious\n")
    with ai_trace.Tracer("agent", tmp_path / "traces") as tracer:
        with tracer.step("step"):
            pass
        known = clock.Clock()
        monkeypatch.setattr(known, "step_id", lambda: "f" * 16)
        monkeypatch.setattr(clock, "active", known)
        place = tmp_path / "traces" / f".{tracer.path.stem}.json.{os.getpid()}.{'f' * 16}.tmp"
        if kind == "symlink":
            place.symlink_to(victim)
        elif kind == "hardlink":
            os.link(victim, place)
        elif kind == "fifo":
            os.mkfifo(place)
        else:
            place.mkdir()
        assert not tracer.save().exists()
        assert tracer.dropped == {"json snapshot: FileExistsError": 1}
    assert victim.read_text() == "precious\n"


def test_an_agents_name_cannot_leave_the_folder(tmp_path: Path) -> None:
    """The true name is in the data; in the names of files it is made safe."""
    folder = tmp_path / "traces"
    names = [
        "../escaped", "a/b", "/abs", "C:\\x", "nul\0", "a\nb", ".", "..", "x" * 1000, "CON", "a:b", "dot.",
        "🤖", "\u202egnp", "*", "[a]", "~", "-rf", " ", "a\x1b[31m",
    ]  # fmt: skip
    for name in names:
        tracer = ai_trace.Tracer(name, folder)
        with tracer.step("step"):
            pass
        tracer.close()
        assert os.path.dirname(os.path.realpath(tracer.path)) == os.path.realpath(folder), name
        assert ai_trace.load(tracer.path).agent == name
    assert sorted(path.name for path in tmp_path.iterdir()) == ["traces"]


SHAPED = "sk-proj-" + "Qq7Zr2Lk9Tx4Vb6Nm1Jh3Gf5Ds8Aa0Pp" + "canary"
NAMED = "plain-canary-under-a-secret-name"


class _Shown:
    def __repr__(self) -> str:
        return f"<Shown {SHAPED}>"

    __str__ = __repr__


class _SecretStr(str):
    """A wrapper that hides its value in every text it makes of itself."""

    def __repr__(self) -> str:
        return "'***'"

    __str__ = __repr__


def _tell_everything(tracer: Any) -> None:
    """Secrets in each place that an agent can put them."""
    named = {"api_key": NAMED, "deep": [{"Authorization": f"Bearer {NAMED}", "db_password": NAMED}]}
    with tracer.step(f"use {SHAPED}", **named, text=f"key is {SHAPED}", raw=f"raw {SHAPED}".encode()) as step:
        step.log(f"message {SHAPED}", client_secret=NAMED, shown=_Shown(), wrapped=_SecretStr(NAMED))
        step.log(**{SHAPED: "as a key"}, url=f"https://user:{NAMED}@host/path")
        step.log(nested={"a": [SHAPED, {"b": (SHAPED, {SHAPED})}]})
        tracer.save()
        tracer.save_markdown()
    try:
        with tracer.step("fails"):
            secret_local = SHAPED
            raise ValueError(f"boom {secret_local}", {"password": SHAPED}) from KeyError(SHAPED)
    except ValueError:
        pass
    tracer.step("failed").start().fail(f"reason {SHAPED}")
    tracer.step("odd").start().finish(f"outcome {SHAPED}")
    tracer.step("left open", token=SHAPED).start().log("in flight", text=SHAPED)


def test_no_secret_is_in_any_byte_ever_written(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Not in the journal, the black box, a snapshot, a temp file or on stderr, not even for a moment."""
    with RecordingDisk().in_place() as double:
        tracer = ai_trace.Tracer(
            "agent", tmp_path / "traces", meta={"model": "m", "api_key": NAMED, "note": SHAPED}
        )
        _tell_everything(tracer)
        tracer.save()
        tracer.save_markdown()
        tracer.close()
    written = b"\n".join(op.data for op in double.ops if op.kind == "write")
    on_disk = b"\n".join(path.read_bytes() for path in (tmp_path / "traces").iterdir())
    names = " ".join(path.name for path in (tmp_path / "traces").iterdir())
    for place in (written, on_disk, names.encode(), "".join(capfd.readouterr()).encode()):
        assert SHAPED.encode() not in place
        assert NAMED.encode() not in place
    assert tracer.summary()["redacted"] >= 15


def test_what_is_no_secret_is_kept(tmp_path: Path) -> None:
    """Commit ids, sums, UUIDs and counts of tokens are what a postmortem needs."""
    kept = {
        "commit": "9fceb02d0ae598e95dc970b74767f19372d61af8",
        "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "uuid": "123e4567-e89b-12d3-a456-426614174000",
        "token_count": 12, "input_tokens": 3, "max_tokens": 4096, "author": "someone", "keyboard": "qwerty",
    }  # fmt: skip
    with ai_trace.Tracer("agent", tmp_path) as tracer:
        with tracer.step("step", **kept) as step:
            assert step.context == kept
    assert ai_trace.load(tracer.path).steps[0].context == kept


def test_redaction_can_be_switched_off(tmp_path: Path) -> None:
    """`redact=None` records what it is given: the choice is the user's."""
    with ai_trace.Tracer("agent", tmp_path, redact=None) as tracer:
        with tracer.step("step", password="p", text=SHAPED):
            pass
    assert ai_trace.load(tracer.path).steps[0].context == {"password": "p", "text": SHAPED}


def test_a_folder_swapped_for_a_link_again_and_again_takes_no_file_outside(tmp_path: Path) -> None:
    """A race for the name of a snapshot is not won by a link to somebody else's file."""
    folder, victim = tmp_path / "traces", tmp_path / "victim"
    folder.mkdir()
    victim.write_text("precious\n")
    stop = threading.Event()
    with ai_trace.Tracer("agent", folder) as tracer:
        with tracer.step("step"):
            pass
        target = Path(tracer.path).with_suffix(".json")

        def swap() -> None:
            link = tmp_path / "link"
            while not stop.is_set():
                link.symlink_to(victim)
                os.replace(link, target)

        thread = threading.Thread(target=swap)
        thread.start()
        try:
            for _ in range(100):
                tracer.save()
        finally:
            stop.set()
            thread.join()
        tracer.save()
    assert victim.read_text() == "precious\n"
    assert not target.is_symlink()
