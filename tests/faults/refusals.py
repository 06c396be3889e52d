"""The kernel itself refuses: real errors from real calls, without a compiler.

`refuse_calls` installs a seccomp-BPF filter by `ctypes` (seccomp(2), Documentation/userspace-api/
seccomp_filter.rst): from then on the named system calls of this thread, and of those it starts, answer an
errno; a filter cannot be taken off again, so only a child process should have one. `small_file_system`
mounts a tmpfs, which needs root.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["refuse_calls", "seccomp_works", "small_file_system"]

_NUMBERS = {  # asm/unistd.h: (architecture's audit number, names)
    "x86_64": (0xC000003E, {"write": 1, "pwrite": 18, "fsync": 74, "fdatasync": 75, "openat": 257}),
    "aarch64": (0xC00000B7, {"write": 64, "pwrite": 68, "fsync": 82, "fdatasync": 83, "openat": 56}),
}
_LOAD, _JUMP_EQUAL, _RETURN = 0x20, 0x15, 0x06  # linux/bpf_common.h: LD|W|ABS, JMP|JEQ|K, RET|K
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_ARCH_AT, _NUMBER_AT, _FIRST_ARGUMENT_AT = 4, 0, 16  # struct seccomp_data
_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER = 38, 22, 2  # linux/prctl.h


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


def refuse_calls(number: int, *names: str, fd: int | None = None) -> None:
    """From now on the system calls *names* answer errno *number* in this thread; with *fd*, on it alone."""
    arch, numbers = _NUMBERS[platform.machine()]
    steps = [(_LOAD, 0, 0, _ARCH_AT), (_JUMP_EQUAL, 1, 0, arch), (_RETURN, 0, 0, _ALLOW)]
    for name in names:
        steps += [(_LOAD, 0, 0, _NUMBER_AT), (_JUMP_EQUAL, 0, 3 if fd is not None else 1, numbers[name])]
        if fd is not None:
            steps += [(_LOAD, 0, 0, _FIRST_ARGUMENT_AT), (_JUMP_EQUAL, 0, 1, fd)]
        steps.append((_RETURN, 0, 0, _ERRNO | number))
    code = b"".join(struct.pack("HBBI", *step) for step in [*steps, (_RETURN, 0, 0, _ALLOW)])
    buffer = ctypes.create_string_buffer(code, len(code))
    program = _Program(len(code) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) or libc.prctl(
        _SET_SECCOMP, _FILTER, ctypes.byref(program), 0, 0
    ):
        raise OSError(ctypes.get_errno(), "seccomp is not allowed here")


def seccomp_works() -> bool:
    """May a process here filter its own system calls? Asked in a child, which it would bind for ever."""
    if not sys.platform.startswith("linux") or platform.machine() not in _NUMBERS:
        return False
    code = (
        "import errno, os\n"
        "from tests.faults.refusals import refuse_calls\n"
        "refuse_calls(errno.EIO, 'fsync')\n"
        "try: os.fsync(1)\n"
        "except OSError as err: raise SystemExit(err.errno != errno.EIO)\n"
        "raise SystemExit(1)\n"
    )
    from tests.children import ROOT, environment

    return not subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment(), capture_output=True
    ).returncode


@contextmanager
def small_file_system(place: str, options: str = "size=128k") -> Iterator[str]:
    """A tmpfs at the folder *place*, made here; `PermissionError` where we may not mount."""
    os.makedirs(place, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", place]
    try:
        refused = os.name != "posix" or os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode
    except FileNotFoundError:
        refused = True
    if refused:
        raise PermissionError("mounting a tmpfs needs root")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)
