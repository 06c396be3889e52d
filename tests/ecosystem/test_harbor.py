"""Harbor's own model takes our trajectories.

Needs: pip install --no-deps harbor; pip install pydantic (the model needs nothing else of Harbor's)
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ai_trace.exporters import atif
from ai_trace.exporters.losses import Losses
from tests.ecosystem.runs import recorded
from tests.exporting import hostile, session
from tests.records import step

model = pytest.importorskip("harbor.models.trajectories", reason="needs harbor and pydantic")


@pytest.mark.parametrize("which", ["recorded", "typical", "hostile", "single"])
def test_trajectories_validate(which: str, tmp_path: Path) -> None:
    """Strictly: Harbor's model forbids unknown fields, and checks the numbering and the references."""
    made = {"typical": session, "hostile": hostile, "single": lambda: session(step(1)),
            "recorded": lambda: recorded(tmp_path)[0]}  # fmt: skip
    text = b"".join(atif.export(made[which](), Losses()))
    known = model.Trajectory.model_validate_json(text)

    assert "ATIF-v1.7" == known.schema_version
    assert json.loads(text)["steps"] == known.to_json_dict()["steps"]  # nothing was read as something else


def test_what_harbor_reads_is_what_was_recorded(tmp_path: Path) -> None:
    """Calls, results, tokens."""
    known = model.Trajectory.model_validate_json(b"".join(atif.export(recorded(tmp_path)[0], Losses())))
    (ask,) = (turn for turn in known.steps if turn.llm_call_count == 1)

    assert ("gpt-4o", 12, 5, 0.25) == (
        ask.model_name, ask.metrics.prompt_tokens, ask.metrics.completion_tokens, ask.metrics.cost_usd,
    )  # fmt: skip
    assert [("c1", "price", {"s": "X"})] == [
        (c.tool_call_id, c.function_name, c.arguments) for c in ask.tool_calls
    ]
    assert [("c1", '{"price":101.5}')] == [(r.source_call_id, r.content) for r in ask.observation.results]
    assert (12, 5) == (known.final_metrics.total_prompt_tokens, known.final_metrics.total_completion_tokens)
