"""A real run, recorded by the real recorder, for the proofs."""

from __future__ import annotations

from pathlib import Path

import ai_trace
from ai_trace import Tracer
from ai_trace.session import Session
from tests.exporting import CHAT, WISH

__all__ = ["recorded"]


def recorded(folder: Path) -> tuple[Session, Path]:
    """An agent that asks a model, calls a tool, fails once and says what it thinks; and its journal."""
    with Tracer("trader", folder, meta={"env": "proof"}) as tracer:
        with tracer.step("run", symbol="ACME"):
            with tracer.step(
                "ask", **{"gen_ai.request.model": "gpt-4o", "gen_ai.input.messages": CHAT}
            ) as step:
                step.log(**{"gen_ai.output.messages": WISH, "gen_ai.usage.input_tokens": 12,
                            "gen_ai.usage.output_tokens": 5, "cost_usd": 0.25})  # fmt: skip
            with tracer.step("price", **{"gen_ai.tool.name": "price", "gen_ai.tool.call.id": "c1"}) as step:
                step.log(**{"gen_ai.tool.call.result": {"price": 101.5}})
            with tracer.step("decide", price=101.5, tags=["a", "b"], nested={"x": [1, None]}) as step:
                step.log("thinking \U0001f680", confidence=0.8)
            try:
                with tracer.step("order", qty=-3):
                    raise ValueError("no money")
            except ValueError:
                pass
    (journal,) = folder.glob("*.jsonl")
    return ai_trace.load(journal), journal
