"""The power goes off on a real ext4: what each level of `sync` promises is there, and zeros are damage.

Run as root; elsewhere the model of `test_crash_states.py` stands alone.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import ai_trace
from tests.faults.power import cut

ROUNDS = int(os.environ.get("POWER_CUTS", "1"))


def _after_cut(sync: str, tmp_path: Path, turn: int) -> tuple[set[str], set[str]]:
    """Acknowledged ids, and those that are read back."""
    try:
        said = cut(sync, 0.3, str(tmp_path / f"{sync}-{turn}"))
    except PermissionError as err:
        pytest.skip(str(err))
    found = set()
    for entry in ai_trace.sessions(tmp_path / f"{sync}-{turn}"):
        try:
            session = entry.load()
        except ai_trace.NotATrace:
            continue
        found |= {step.id for step in session.steps if not step.open}
        for damage in session.damage:
            assert damage.reason
    return said, found


@pytest.mark.parametrize("sync", ["step", "always"])
def test_a_synced_step_survives_a_power_cut(sync: str, tmp_path: Path) -> None:
    """Every step whose end had returned is read back from the disk as it was when the power went."""
    for turn in range(ROUNDS):
        said, found = _after_cut(sync, tmp_path, turn)
        print(f"{sync}: {len(said)} acknowledged, {len(said - found)} lost")
        assert said and said <= found


def test_without_sync_a_power_cut_may_take_the_last_seconds_and_no_more_than_that_is_promised(
    tmp_path: Path,
) -> None:
    """`sync="never"` is safe against the death of the process alone: the test shows that the machinery bites."""
    said, found = _after_cut("never", tmp_path, 0)
    assert said - found, "the image lost nothing: a power cut that takes nothing proves nothing"


def test_zeros_at_the_end_of_a_journal_are_one_damage_and_cost_nothing(tmp_path: Path) -> None:
    """Size that arrived before data, as ext4 leaves it after a cut: every whole line reads."""
    with ai_trace.Tracer("agent", tmp_path) as tracer:
        for n in range(3):
            with tracer.step("step", n=n):
                pass
    with tracer.path.open("ab") as file:
        file.write(b"\0" * 2247)
    session = ai_trace.load(tracer.path)
    assert [step.context["n"] for step in session.steps] == [0, 1, 2]
    (damage,) = session.damage
    assert damage.length == 2247
