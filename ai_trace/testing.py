"""For your own tests: record an agent in memory, and say what it must have done.

    from ai_trace.testing import recorded

    def test_it_buys_on_a_strong_signal():
        with recorded() as trace:
            run_agent(tracer=trace.tracer, signal=0.9)
        trace.assert_step("decision", action="BUY")
        trace.assert_order("market_scan", "decision")
        trace.assert_no_errors()
        trace.assert_budget(calls={"llm": 3}, tokens=2_000, cost_usd=0.05)

`Trace` takes a `Tracer` or a loaded `Session`, too. Every assertion raises `AssertionError` with what was found
instead. `FakeClock` stands in for time and ids, so that two runs leave the same lines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from . import clock
from .record import Record
from .session import Session
from .tracer import Tracer

__all__ = ["FakeClock", "Trace", "recorded"]

_MOST_SHOWN = 10  # steps in the message of an assertion that failed


class Trace:
    """What *source*, a tracer or a session, recorded; a tracer is looked at anew each time."""

    def __init__(self, source: Tracer | Session) -> None:
        self._source = source

    @property
    def tracer(self) -> Tracer:
        """The tracer; `TypeError` where this was made of a session."""
        if not isinstance(self._source, Tracer):
            raise TypeError("this Trace was made of a Session, which records nothing")
        return self._source

    @property
    def session(self) -> Session:
        """The session so far."""
        return self._source.session() if isinstance(self._source, Tracer) else self._source

    def steps(self, name: str | None = None) -> list[Record]:
        """The steps, or those called *name*, in the order in which they began."""
        return [step for step in self.session.steps if name is None or step.name == name]

    def assert_step(self, name: str, /, **fields: Any) -> Record:
        """One step called *name* has all of *fields* in its context or its logs; the first such is returned.

        A value is compared by `==`; a callable is asked. `outcome` and `error` are the step's own.
        """
        __tracebackhide__ = True  # a failure shows the test, not this
        steps = self.steps(name)
        for step in steps:
            if all(_holds(step, key, wanted) for key, wanted in fields.items()):
                return step
        wanted = "".join(f" {key}={value!r}" for key, value in fields.items())
        raise AssertionError(f"no step {name!r} with{wanted or ' that name'}; {_found(steps or self.steps())}")

    def assert_no_step(self, name: str, /, **fields: Any) -> None:
        """No step called *name* has all of *fields*."""
        __tracebackhide__ = True  # a failure shows the test, not this
        for step in self.steps(name):
            if all(_holds(step, key, wanted) for key, wanted in fields.items()):
                raise AssertionError(f"a step that must not be: {_line(step)}")

    def assert_count(self, name: str, count: int) -> None:
        """There are exactly *count* steps called *name*."""
        __tracebackhide__ = True  # a failure shows the test, not this
        steps = self.steps(name)
        if len(steps) != count:
            raise AssertionError(f"{_count(steps)} {name!r}, not {count}; {_found(self.steps())}")

    def assert_order(self, *names: str) -> None:
        """Steps of these names began in this order; others may stand between them."""
        __tracebackhide__ = True  # a failure shows the test, not this
        rest = iter(self.steps())
        for position, name in enumerate(names):
            if not any(step.name == name for step in rest):
                after = f" after {names[position - 1]!r}" if position else ""
                raise AssertionError(f"no step {name!r}{after}; {_found(self.steps())}")

    def assert_no_errors(self) -> None:
        """No step ended as "error"."""
        __tracebackhide__ = True  # a failure shows the test, not this
        failed = [step for step in self.steps() if step.outcome == "error"]
        if failed:
            raise AssertionError(f"{_count(failed)} failed; {_found(failed)}")

    def assert_budget(
        self, *, calls: Mapping[str, int] | int | None = None, tokens: int | None = None, cost_usd: float | None = None
    ) -> None:
        """At most so many steps (in all, or by name), tokens (input and output) and dollars, as far as logged."""
        __tracebackhide__ = True  # a failure shows the test, not this
        for name, most in ({"": calls} if isinstance(calls, int) else calls or {}).items():
            _within(len(self.steps(name or None)), most, f"steps {name!r}" if name else "steps")
        if tokens is not None:
            _within(self._sum("input_tokens") + self._sum("output_tokens"), tokens, "tokens")
        if cost_usd is not None:
            _within(self._sum("cost_usd"), cost_usd, "dollars")

    def _sum(self, word: str) -> float:
        values = [step.usage.get(word) for step in self.steps()]
        return sum(value for value in values if isinstance(value, (int, float)))


@contextmanager
def recorded(agent: str = "test", **options: Any) -> Iterator[Trace]:
    """A trace in memory: nothing is written. *options* are those of `Tracer`."""
    yield Trace(Tracer(agent, auto_save=False, **options))


class FakeClock(clock.Clock):
    """Time that stands still until it is moved, and ids that count: `with FakeClock() as now: now.advance(1.5)`.

    Inside the block every tracer that is made uses it.
    """

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        super().__init__()
        self._now = int(start * 1e9)
        self._count = 0

    def advance(self, seconds: float) -> None:
        """Let time pass; a negative number sets the wall clock back, and the monotonic one not."""
        self._now += int(seconds * 1e9)

    def wall_ns(self) -> int:
        """The time, nanoseconds since 1970."""
        return self._now

    def steady_ns(self) -> int:
        """The same time."""
        return self._now

    def step_id(self) -> str:
        """1, 2, 3, … as 16 hex digits."""
        self._count += 1
        return f"{self._count:016x}"

    def trace_id(self) -> str:  # type: ignore[override]
        """The same for every session."""
        return "f" * 32

    def __enter__(self) -> FakeClock:
        self._before, clock.active = clock.active, self
        return self

    def __exit__(self, *error: object) -> None:
        clock.active = self._before


def _count(steps: list[Record]) -> str:
    return f"{len(steps)} step{'s' if len(steps) != 1 else ''}"


def _holds(step: Record, key: str, wanted: Any) -> bool:
    places = [{"outcome": step.outcome, "error": step.error}, step.context, *step.logs]
    found = [place[key] for place in places if key in place]
    is_right: Callable[[Any], Any] = wanted if callable(wanted) else lambda value: value == wanted
    return any(is_right(value) for value in found)


def _within(found: float, most: float, what: str) -> None:
    __tracebackhide__ = True
    if found > most:
        raise AssertionError(f"{found:g} {what}, and at most {most:g} were allowed")


def _found(steps: list[Record]) -> str:
    more = f"\n  … and {len(steps) - _MOST_SHOWN} more" if len(steps) > _MOST_SHOWN else ""
    return "found:" + "".join(f"\n  {_line(step)}" for step in steps[:_MOST_SHOWN]) + more if steps else "found none"


def _line(step: Record) -> str:
    said = {key: value for log in step.logs for key, value in log.items() if key != "_t"}
    return f"{step.name} {step.outcome} context={step.context!r:.200} logs={said!r:.200} {step.error or ''}".rstrip()
