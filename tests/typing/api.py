"""A program that is never run: it names every public form, and must pass `mypy --strict` as it stands."""

from __future__ import annotations

import pathlib
from collections.abc import AsyncIterator, Iterator

from ai_trace import NotATrace, Session, Step, TraceError, Tracer, UsageError
from ai_trace import current_step, follow, load, log, propagate, read, sessions

tracer = Tracer("agent", "traces", True, {"model": "some-model"})
also: Tracer = Tracer(
    "agent", trace_dir=pathlib.Path("traces"), auto_save=False, meta=None, sync="step", redact=None
)


def record() -> None:
    with tracer.step("look", symbol="BTC", name="a key", self=1) as step:
        step.log("a message", signal=0.87)
        step.log(action="BUY")
        with step.step("inside") as child:
            child_is: Step = child
            child_is.log(done=True)
        log("from anywhere", x=1)
        now: Step | None = current_step()
        if now is not None:
            now.log(found=True)
    by_hand: Step = tracer.step("by hand").start()
    by_hand.finish(outcome="skipped")
    tracer.step("by hand").start().fail(reason="timeout")
    header: str = step.traceparent
    print(
        step.name,
        step.context,
        step.logs,
        step.outcome,
        step.error,
        step.duration_ms,
        step.id,
        step.parent,
        header,
    )
    as_data: dict[str, object] = step.to_dict()
    print(as_data)


async def record_async() -> None:
    async with tracer.step("wait") as step:
        step.log(turn=1)


@tracer.traced
def decide(symbol: str, size: float = 1.0) -> bool:
    return size > len(symbol)


@tracer.traced
async def decide_later(symbol: str) -> int:
    return len(symbol)


@tracer.traced
def each(symbol: str) -> Iterator[str]:
    yield from symbol


@tracer.traced
async def each_later(symbol: str) -> AsyncIterator[str]:
    for letter in symbol:
        yield letter


async def use() -> None:
    yes: bool = decide("a", size=2)
    count: int = await decide_later("a")
    letters: list[str] = list(each("a"))
    later: list[str] = [letter async for letter in each_later("a")]
    moved: bool = propagate(decide)("a")
    print(yes, count, letters, later, moved)


def look() -> None:
    for entry in sessions("traces"):
        session: Session = entry.load()
        print(session.agent, session.id, session.state, session.steps, session.tree, session.damage)
        print(session.unfinished, session.summary())
    one: Session = load("traces/agent_20240301_143022.jsonl")
    for record_read in read("traces/agent_20240301_143022.jsonl"):
        print(record_read.name, record_read.outcome, record_read.started_at)
    for event in follow(one.paths[0]):
        print(event)


def end() -> None:
    try:
        with Tracer("agent") as other:
            print(other.save(), other.save_markdown(), other.summary(), other.steps, other.dropped)
            print(other.session_id, other.path)
        other.close()
    except UsageError as error:
        print(error)
    except NotATrace as error:
        print(error.path, error.reason)
    except TraceError as error:
        print(error)
