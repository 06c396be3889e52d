"""The names in `genai.TABLE` are those that the official packages have.

Needs: pip install opentelemetry-semantic-conventions==0.64b0 openinference-semantic-conventions
(0.64b0 is version 1.41 of the conventions; later packages mark the names as moved to another repository.)
"""

from __future__ import annotations

import pytest

from ai_trace import genai


def test_the_genai_names_are_the_official_ones() -> None:
    """No name of ours under `gen_ai.` that the conventions do not have."""
    official = pytest.importorskip(
        "opentelemetry.semconv._incubating.attributes.gen_ai_attributes",
        reason="needs opentelemetry-semantic-conventions",
    )
    known = {value for name, value in vars(official).items() if name.startswith("GEN_AI_")}

    assert [] == [name.genai for name in genai.TABLE if name.genai not in known]


def test_the_openinference_names_are_the_official_ones() -> None:
    """Nor one that OpenInference does not have."""
    official = pytest.importorskip(
        "openinference.semconv.trace", reason="needs openinference-semantic-conventions"
    )
    known = set(vars(official.SpanAttributes).values())

    assert [] == [name for name in genai.OPENINFERENCE.values() if name not in known]
    assert {"LLM", "EMBEDDING", "TOOL", "RETRIEVER", "AGENT", "CHAIN"} <= set(
        official.OpenInferenceSpanKindValues.__members__
    )
