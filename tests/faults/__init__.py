"""Faults to record under: a disk that says no, a power cut without a crash, a process that is killed.

disk_double    fails the n-th call on the disk, n = 1, 2, 3 … until a run meets no failure
crash_states   writes down what was asked of the disk, and lays out every state a crash may leave
kill_loop      a recording process killed with SIGKILL at a random moment, again and again
refusals       the kernel itself refuses: `EIO` by a seccomp filter, small and read-only file systems
power          an ext4 image whose backing file is copied while an agent records
interrupts     KeyboardInterrupt at every line, every bytecode, or by a real signal
soak           damage, a full disk, signals, forks and threads at once, for minutes
"""

from __future__ import annotations

import os
from typing import Final

__all__ = ["IN_MEMORY"]

# A loop that makes a thousand folders should not wait for a busy disk; None is the usual place.
IN_MEMORY: Final = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
