"""Somebody plays with the names while we make our files: nothing outside the folder is ever touched."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pytest

import ai_trace
from ai_trace import clock

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="symbolic links need rights on Windows")

TRACERS = int(os.environ.get("RACES", "150"))


class _OneSecond(clock.Clock):
    """Every session begins in the same second, so all of them want the name that is being played with."""

    def wall_ns(self) -> int:  # type: ignore[override]
        return 1_709_300_422_000_000_000


@pytest.mark.parametrize("suffix", [".jsonl", ".live", ".live.new"])
def test_a_name_that_flips_between_a_link_and_nothing_takes_no_byte_outside(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The race for the name of a journal or a black box is lost by the link, each time."""
    monkeypatch.setattr(clock, "active", _OneSecond())
    folder, victim = tmp_path / "traces", tmp_path / "victim"
    folder.mkdir()
    victim.write_bytes(b"precious\n")
    place = folder / f"agent_20240301_134022{suffix}"
    stop = threading.Event()

    def flip() -> None:
        link = tmp_path / "link"
        while not stop.is_set():
            link.symlink_to(victim)
            os.replace(link, place)
            try:
                os.unlink(place)
            except FileNotFoundError:
                pass

    thread = threading.Thread(target=flip)
    thread.start()
    try:
        for _ in range(TRACERS):
            with ai_trace.Tracer("agent", folder) as tracer:
                with tracer.step("step", text="x" * 50):
                    pass
            for path in folder.glob("*.jsonl"):
                if not path.is_symlink():
                    path.unlink(missing_ok=True)
    finally:
        stop.set()
        thread.join()
    assert victim.read_bytes() == b"precious\n"


def test_a_link_to_a_folder_is_the_users_own_choice(tmp_path: Path) -> None:
    """`traces` may be a link to a larger disk; files in it are still never links."""
    (tmp_path / "large").mkdir()
    (tmp_path / "traces").symlink_to(tmp_path / "large")
    with ai_trace.Tracer("agent", tmp_path / "traces") as tracer:
        with tracer.step("step"):
            pass
    assert [step.name for step in ai_trace.load(tracer.path).steps] == ["step"]
    assert (tmp_path / "large" / tracer.path.name).stat().st_mode & 0o777 == 0o600
