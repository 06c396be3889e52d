"""Is the process that writes this black box still there? A lock on the file, and who holds it.

The writer holds an exclusive lock on its black box for as long as it lives; the system frees it whatever kills
the process. A reader asks for a shared lock: refused means somebody holds it. Because a forked child can
outlive its parent with the lock still held, the header also names the process: pid, start time, host, boot.

Limits: over NFS, in some containers and where there is no lock at all the answer is "unknown", never a guess.
A pid is only looked up on the same host, boot and pid namespace.
"""

from __future__ import annotations

import os
from typing import Any

__all__ = ["hold", "identity", "state"]

# Windows locks are mandatory: this byte, far past any content, can be locked without barring a reader.
_FAR_BYTE = 1 << 62

try:
    import fcntl

    def hold(fd: int) -> bool:
        """Lock *fd* for this process; False where it is taken or the file system has no locks."""
        return _lock(fd, fcntl.LOCK_EX)

    def _taken(fd: int) -> bool | None:
        """True: somebody holds the lock; False: nobody does; None: this file system cannot say."""
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return None
        fcntl.flock(fd, fcntl.LOCK_UN)
        return False

    def _lock(fd: int, kind: int) -> bool:
        try:
            fcntl.flock(fd, kind | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

except ImportError:  # Windows, WASI
    try:
        import msvcrt as _msvcrt
    except ImportError:
        _msvcrt = None  # type: ignore[assignment]
    msvcrt: Any = _msvcrt

    def hold(fd: int) -> bool:
        """Lock *fd* for this process; False where it is taken or there are no locks."""
        if msvcrt is None:
            return False
        try:
            os.lseek(fd, _FAR_BYTE, os.SEEK_SET)
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _taken(fd: int) -> bool | None:
        if msvcrt is None:
            return None
        if not hold(fd):
            return True
        os.lseek(fd, _FAR_BYTE, os.SEEK_SET)
        msvcrt.locking(fd, msvcrt.LK_UNLCK, 1)
        return False


def identity() -> dict[str, Any]:
    """Who this process is: `pid`, `start`, `host`, `boot`; "" for what this system does not tell."""
    return {"pid": os.getpid(), "start": _start_time(os.getpid()), "host": host(), "boot": _boot()}


def host() -> str:
    """The name of this machine, "" where there is none."""
    try:
        return os.uname().nodename
    except (AttributeError, OSError):
        return os.environ.get("COMPUTERNAME", "")


def state(fd: int, header: dict[str, Any]) -> str | None:
    """What became of the process that wrote *header* into the black box open at *fd*.

    Returns:
        "running" or "died"; "unknown" where the lock proves nothing here (another host or boot, no locks);
        None where the file was removed or replaced meanwhile, so that the caller looks again.
    """
    if os.fstat(fd).st_nlink == 0:
        return None
    here = identity()
    same_machine = all(header.get(k) == here[k] and here[k] for k in ("host", "boot"))
    taken = _taken(fd)
    if taken is None:
        return _by_pid(header, here["start"]) if same_machine else "unknown"
    if os.fstat(fd).st_nlink == 0:
        return None
    if taken:
        return "died" if same_machine and _gone(header) else "running"
    return "died" if same_machine else "unknown"


def _by_pid(header: dict[str, Any], start_times: str) -> str:
    """Without locks: a pid with the same start time runs; without start times a pid proves nothing."""
    if _gone(header):
        return "died"
    return "running" if start_times else "unknown"


def _gone(header: dict[str, Any]) -> bool:
    pid = header.get("pid")
    if type(pid) is not int or pid <= 0 or not hasattr(os, "fork"):  # os.kill(pid, 0) ends a process on Windows
        return False
    start = _start_time(pid)
    if start:
        return header.get("start") not in ("", None, start)
    if os.path.isdir("/proc/self"):
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        pass
    return False


def _start_time(pid: int) -> str:
    """Clock ticks since boot at which *pid* started: field 22 of proc(5)'s stat, counted from behind its name."""
    try:
        return _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()[19].decode("ascii")
    except (OSError, IndexError, UnicodeDecodeError):
        return ""


def _boot() -> str:
    """This boot, and the pid namespace: a pid means something only within both."""
    try:
        boot = _read("/proc/sys/kernel/random/boot_id").decode("ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except (OSError, UnicodeDecodeError):
        return ""


def _read(path: str) -> bytes:
    """A small file of the system; without `open`, which is gone when a finalizer records at the very end."""
    fd = os.open(path, os.O_RDONLY)
    try:
        return os.read(fd, 4096)
    finally:
        os.close(fd)
