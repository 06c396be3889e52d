"""What the tests here share: a provider, a tracer, and everything put back after each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ai_trace import Tracer
from ai_trace.bridges import uninstrument

from .fake_provider import Provider


@pytest.fixture
def provider() -> Iterator[Provider]:
    """A fresh provider."""
    with Provider() as running:
        yield running


@pytest.fixture
def tracer(tmp_path: Path) -> Iterator[Tracer]:
    """A tracer that writes into the test's folder; afterwards nothing is instrumented."""
    made = Tracer("agent", tmp_path / "traces")
    yield made
    uninstrument()
    made.close()
