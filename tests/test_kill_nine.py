"""`kill -9` at a random moment loses nothing that was acknowledged, and shows what was in flight."""

from __future__ import annotations

import os
import sys

import pytest

from tests.faults.kill_loop import LOSSES, run

ROUNDS = int(os.environ.get("ROUNDS", "25"))
SEED = int(os.environ.get("SEED", str(int.from_bytes(os.urandom(4), "big"))))


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL and inherited descriptors are POSIX")
def test_killed_at_random_moments_nothing_acknowledged_is_lost() -> None:
    """Every finished step is read back; every begun one is there with each log whose call had returned."""
    print(f"SEED={SEED} ROUNDS={ROUNDS}")
    total = run(ROUNDS, SEED, longest=0.2)
    print(dict(total))
    assert {what: total[what] for what in LOSSES if total[what]} == {}
    assert total["kills"] == ROUNDS
    assert total["started"] > ROUNDS  # the children did record before they were killed
