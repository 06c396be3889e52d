"""Everything at once, small: threads, forks, a storm of signals, a full disk, damaged files, and a kill.

Ten minutes of the same: `python -m tests.gauntlet --soak 10`.
"""

from __future__ import annotations

import os
import random
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.faults.refusals import small_file_system
from tests.faults.soak import LOSSES, one_round

ROUNDS = int(os.environ.get("SOAK_ROUNDS", "2"))
SEED = int(os.environ.get("SEED", str(int.from_bytes(os.urandom(4), "big"))))
WORDS = 1000  # acknowledged in a round, each by a thread, a forked child or a handler
PATIENCE = 60.0  # seconds without a word, on a machine that may be busy

pytestmark = pytest.mark.skipif(
    not hasattr(os, "fork") or not hasattr(signal, "setitimer"), reason="forks, timers and signals of POSIX"
)


def test_threads_forks_signals_a_full_disk_and_damage_at_once_lose_nothing(tmp_path: Path) -> None:
    """The agent sees no error, nothing acknowledged is lost or doubled, drops are told, every snapshot is whole, and
    the damage that somebody does to a file beside costs that file's own lines. (As root the disk is small and full.)
    """
    print(f"SEED={SEED}")
    rng = random.Random(SEED)
    met = {"kept": 0, "forks": 0, "damages": 0, "told drops": 0}
    for turn in range(ROUNDS):
        with ExitStack() as stack:
            disk, filled = str(tmp_path / f"disk{turn}"), True
            try:
                stack.enter_context(small_file_system(disk, "size=3m"))
            except PermissionError:
                filled = False
            seen = one_round(disk, rng.randrange(2**32), 2.0, filled, words=WORDS, forks=2, patience=PATIENCE)
        assert {what: seen[what] for what in LOSSES if seen[what]} == {}, f"SEED={SEED}"
        met = {what: count + seen[what] for what, count in met.items()}
    print(met)
    assert met["kept"] and met["forks"] and met["damages"], f"it was not everything: {met}"
    assert met["told drops"] or not filled, "the disk was never full"
