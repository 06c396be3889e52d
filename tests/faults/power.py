"""Power cuts on a real file system: an ext4 image on a loop device, copied while an agent records.

The agent is stopped between two of its system calls for as long as the copy takes, so that the image is one
instant: what it wrote and the kernel has not yet sent to the device is not in it. The copy is mounted and
recovers by its own journal, as after a cut. Cuts inside a call are `crash_states`' part. Needs root, `mkfs.ext4`
and loop devices.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.children import ROOT, environment
from tests.faults import IN_MEMORY

__all__ = ["cut"]

MIB = 1 << 20


@contextmanager
def mounted(image: str, place: str) -> Iterator[str]:
    """*image* at *place*; `PermissionError` where that is not possible."""
    os.makedirs(place, exist_ok=True)
    try:
        done = subprocess.run(["mount", "-o", "loop", image, place], capture_output=True, text=True)
    except FileNotFoundError as err:
        raise PermissionError("there is no mount here") from err
    if done.returncode:
        raise PermissionError(f"a loop device cannot be mounted here: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


def _copy(image: str, copy: str) -> None:
    with open(image, "rb") as source, open(copy, "wb") as target:
        while block := source.read(MIB):
            target.write(block)


def cut(sync: str, seconds: float, into: str) -> set[str]:
    """Record for *seconds* with *sync*, cut the power, recover; the trace folder as it was is copied to *into*.

    Returns:
        The ids of the steps that had been acknowledged when the copy was begun.
    """
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as place:
        image, copy = os.path.join(place, "image"), os.path.join(place, "copy")
        with open(image, "wb") as file:
            file.truncate(24 * MIB)
        made = shutil.which("mkfs.ext4") and not subprocess.run(
            ["mkfs.ext4", "-q", "-F", image], capture_output=True
        ).returncode
        if not made or os.geteuid() != 0:
            raise PermissionError("an ext4 image needs root and mkfs.ext4")
        with mounted(image, os.path.join(place, "before")) as disk:
            said = _record(os.path.join(disk, "traces"), sync, seconds, image, copy)
        with mounted(copy, os.path.join(place, "after")) as disk:
            traces = os.path.join(disk, "traces")
            if os.path.isdir(traces):
                shutil.copytree(traces, into)
            else:
                os.makedirs(into)
    return said


CHILD = """
import os, sys
import ai_trace
tracer = ai_trace.Tracer("victim", sys.argv[1], sync=sys.argv[2])
n = 0
while True:
    n += 1
    with tracer.step("step", n=n, text="x" * (n * 37 % 2000)) as step:
        step.log("said")
    os.write(1, (step.id + "\\n").encode())
"""


def _record(folder: str, sync: str, seconds: float, image: str, copy: str) -> set[str]:
    """Let a child record for *seconds*, copy the image while it stands still, kill it."""
    heard: list[bytes] = []
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, folder, sync], stdout=subprocess.PIPE, cwd=ROOT, env=environment()
    )
    assert child.stdout is not None
    pipe = child.stdout
    heard.append(pipe.readline())

    def hear() -> None:
        while piece := os.read(pipe.fileno(), 65_536):
            heard.append(piece)

    listener = threading.Thread(target=hear)
    listener.start()
    threading.Event().wait(seconds)
    acknowledged = b"".join(heard)  # before the first byte is copied
    child.send_signal(signal.SIGSTOP)
    os.waitpid(child.pid, os.WUNTRACED)
    _copy(image, copy)
    child.kill()
    child.wait()
    listener.join()
    pipe.close()
    return set(acknowledged.decode().split("\n")[:-1])
