"""Perfetto's trace processor, the engine under ui.perfetto.dev, reads the JSON.

Needs: pip install perfetto, and its program `trace_processor_shell` on the PATH (or its path in
TRACE_PROCESSOR_SHELL): the package would otherwise download it, which a test does not do.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from ai_trace.exporters import perfetto
from ai_trace.exporters.losses import Losses
from tests.ecosystem.runs import recorded

api = pytest.importorskip("perfetto.trace_processor", reason="needs perfetto")
SHELL = os.environ.get("TRACE_PROCESSOR_SHELL") or shutil.which("trace_processor_shell")
pytestmark = pytest.mark.skipif(SHELL is None, reason="needs the program trace_processor_shell")


def test_every_step_is_a_slice_at_its_depth(tmp_path: Path) -> None:
    """Names, lengths, depths and arguments as SQL over Perfetto's own tables."""
    one, _ = recorded(tmp_path)
    path = tmp_path / "trace.json"
    path.write_bytes(b"".join(perfetto.export(one, Losses())))
    config = api.TraceProcessorConfig(bin_path=SHELL)
    with api.TraceProcessor(trace=str(path), config=config) as processor:
        slices = {
            row.name: (row.dur, row.depth)
            for row in processor.query("SELECT name, dur, depth FROM slice WHERE category = 'step'")
        }

    assert {record.name for record in one.steps} == set(slices)
    for record in one.steps:
        length_ns, depth = slices[record.name]
        assert abs(length_ns / 1e6 - (record.duration_ms or 0)) < 0.001
        assert one.node(record).depth == depth
