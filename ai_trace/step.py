"""One step of an agent: what it saw, what it logged, how it ended.

Guarantees:
- Values are captured at the call. A list changed afterwards does not change the record.
- `with step:` makes it the current step of this context; `start()` does not. An exception leaves as it came.
- Ending is idempotent: what comes first counts. Nothing raises because of tracing.
"""

from __future__ import annotations

import sys
import threading
from types import TracebackType
from typing import Any

from . import clock
from .capture import Capture, no_usage
from .current import Node, current, enter, find, leave
from .line import Parts, quote, seconds
from .record import Limits
from .sinks import Sink

__all__ = ["Origin", "Step", "current_step", "log"]

_TRACEBACK = 256 * 1024  # characters; a RecursionError's thousand frames fit, a runaway message does not
_MOST_NAMES = 10_000  # names kept as ready JSON text; an agent that makes up a new name each time is bounded
_SHORTEST_SECRET = 16  # characters; a shorter plain word is no credential that the rules know
_MODERN = 10**18  # nanoseconds, September 2001: from here on their digits are as many
_MAIN_THREAD = threading.main_thread().ident
_modules = sys.modules
_get_ident = threading.get_ident


class Origin:
    """What the steps of one session share.

    Attributes:
        sink: where they go.
        capture: freezes their values.
        trace_id: 32 hex digits.
        parent: span id of the remote parent, or None.
    """

    def __init__(self, sink: Sink, capture: Capture, limits: Limits, trace_id: str, parent: str | None) -> None:
        self.sink = sink
        self.capture = capture
        self.trace_id = trace_id
        self.parent = parent
        self.fields = capture.fields
        self.wall_ns = clock.active.wall_ns
        self.steady_ns = clock.active.steady_ns
        self.most_logs, self.most_bytes = limits.logs, limits.step_bytes
        self.names: dict[str, str] = {"ok": '"ok"', "error": '"error"', "cancelled": '"cancelled"'}

    def word(self, value: Any) -> str:
        """A name or an outcome as JSON text: one line, masked."""
        if type(value) is str:
            known = self.names.get(value)
            if known is not None:
                return known
        harmless = type(value) is str and len(value) < _SHORTEST_SECRET and value.isidentifier()
        text = quote(value if harmless else self.capture.line(value)[0])
        if type(value) is str and len(value) < 200 and len(self.names) < _MOST_NAMES and "<lost: " not in text:
            self.names[value] = text
        return text


def current_step() -> Step | None:
    """The innermost step entered by `with` around this code, in this thread, task or generator; None outside."""
    step: Step | None = current()
    return step


def log(message: Any = None, /, *args: Any, **fields: Any) -> Step | None:
    """`Step.log` on the current step, which is returned; outside of every step nothing is recorded."""
    step = current_step()
    return step.log(message, *args, **fields) if step is not None else None


class Step(Parts):
    """A unit of an agent's work, made by `Tracer.step`, `Step.step` or `Tracer.traced`.

    Use it as a context manager (`with`, `async with`), or by hand with `start`, `log` and `finish` or `fail`.

    Attributes:
        id: 16 hex digits (a W3C span id).
        parent: id of the step around it, or None; settled when the step starts.
    """

    __slots__ = ("_node", "_origin", "_usage")

    def __init__(self, origin: Origin, name: Any, context: dict[str, Any], parent: Parts | None = None) -> None:
        self._origin = origin
        self.id = clock.active.step_id()
        self.parent = parent if parent is None else parent.id
        self.name_text = origin.names.get(name) or origin.word(name) if type(name) is str else origin.word(name)
        self.context_text, self.masked = text, _ = origin.fields(context)
        self._usage = None if no_usage(context) else origin.capture.usage(context, None)
        self.log_texts = []
        self.size = len(text)
        self.usage_text = self.extra = ""
        self.started_ns = self.cut_at = self.cut_logs = 0
        self.live = self.ended = self.told = False
        self.place = -1
        self.error_text = "null"
        self._node: Node | None = None

    # The life of a step

    def start(self) -> Step:
        """Begin the step without making it current; a step that has begun is left as it is. Returns itself."""
        if not self.started_ns:
            self._begin()
        return self

    def log(self, message: Any = None, /, *args: Any, **fields: Any) -> Step:
        """Take down what the step knows or does now. Returns itself.

        Args:
            message: a text for people; it is recorded as the field `message`.
            *args: further values, recorded as the field `args`; the message is not formatted with them.
            **fields: any names and values; how values are recorded stands in `ai_trace.plain`.

        A step that has not begun begins. On a step that has ended nothing is recorded, and a drop is counted.
        """
        origin = self._origin
        if args:
            fields = _with(fields, "args", args)
        if message is not None:
            fields = _with(fields, "message", message)
        if "_t" in fields:
            fields = _with(fields, "_t (field)", fields.pop("_t"))
        text, masked = origin.fields(fields)
        if not self.live and not self._ready():
            origin.sink.drop("logged after the step had ended")
            return self
        now = origin.wall_ns()
        digits = str(now // 1000)
        moment = f"{digits[:-6]}.{digits[-6:]}" if now >= _MODERN else seconds(now)
        entry = f'{{"_t":{moment},{text[1:]}' if len(text) > 2 else f'{{"_t":{moment}}}'
        self.masked += masked
        self.size += len(entry)
        if not no_usage(fields):
            self._usage = origin.capture.usage(fields, self._usage)
        origin.sink.note(self, entry)
        if self.size > origin.most_bytes or len(self.log_texts) > origin.most_logs:
            origin.sink.shorten(self)
        return self

    def finish(self, outcome: Any = "ok") -> Step:
        """End the step as *outcome*: "ok", "error", "cancelled" or a word of the app's own. Returns itself."""
        self._end(self._origin.word(outcome))
        return self

    def fail(self, reason: Any) -> Step:
        """End the step as "error"; *reason* becomes its one-line error, with the traceback where it is an exception.
        Returns itself."""
        if issubclass(type(reason), BaseException):  # `isinstance` asks the value's own `__class__`, which may raise
            self._end_by(reason, '"error"')
            return self
        text, masked = self._origin.capture.line(reason)
        self.masked += masked
        self._end('"error"', quote(text))
        return self

    def step(self, name: Any, /, **context: Any) -> Step:
        """A child of this step, from any thread or task, whatever step is current there."""
        return Step(self._origin, name, context, self)

    def __enter__(self) -> Step:
        if not self.started_ns:
            self._begin()
        self._node = enter(self, sys._getframe(1))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._node is not None:
            leave(self._node)
            self._node = None
        if error is None:
            self._end('"ok"')
        else:
            self._end_by(error)

    async def __aenter__(self) -> Step:
        if not self.started_ns:
            self._begin()
        self._node = enter(self, sys._getframe(1))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def _begin(self) -> None:
        origin = self._origin
        if self.parent is None:
            around = current()
            if around is not None and around._origin is not origin:
                around = find(lambda step: step._origin is origin)  # past the steps of other tracers
            self.parent = around.id if around is not None else origin.parent
        if _get_ident() != _MAIN_THREAD or "asyncio" in _modules:
            self.extra = _whereabouts()
        now = origin.wall_ns()
        digits = str(now // 1000)  # `seconds`, without its call, where the clock is later than 2001
        self.started_text = f"{digits[:-6]}.{digits[-6:]}" if now >= _MODERN else seconds(now)
        self.steady_ns = origin.steady_ns()
        self.started_ns = now
        self.live = True  # from here on an interrupted start can be ended
        origin.sink.begin(self)

    def _ready(self) -> bool:
        """May this step be written to? Begins one that has not begun, or was inherited open by a forked child."""
        if self.ended:
            return False
        if not self.started_ns:
            self._begin()
        elif not self.live:
            self.parent, self.id = self.id, clock.active.step_id()  # the parent's process ends the old one
            self.log_texts, self.size, self.place = [], len(self.context_text), -1
            self.cut_at = self.cut_logs = 0
            self._begin()
        return True

    def _end(self, outcome_text: str, error_text: str = "null") -> None:
        origin = self._origin
        if not self.live and not self._ready():
            return
        self.live, self.ended = False, True
        self.finished_ns = now = origin.wall_ns()
        digits = str(now // 1000)
        self.finished_text = f"{digits[:-6]}.{digits[-6:]}" if now >= _MODERN else seconds(now)
        elapsed = origin.steady_ns() - self.steady_ns
        self.elapsed_ns = elapsed if elapsed > 0 else 0
        self.outcome_text, self.error_text = outcome_text, error_text
        if self._usage is not None:
            self.usage_text = origin.capture.usage_text(self._usage)
        origin.sink.end(self)

    def _end_by(self, error: BaseException, outcome_text: str = "") -> None:
        """End as the exception says, which itself is not touched."""
        capture = self._origin.capture
        name = type(error).__name__
        text, masked = capture.line(_message(error))
        trace, more = capture.text(_traceback(error), _TRACEBACK)
        self.masked += masked + more
        self.extra = f',"traceback":{quote(trace)}{self.extra}'
        outcome_text = outcome_text or ('"cancelled"' if _cancels(error) else '"error"')
        self._end(outcome_text, quote(f"{name}: {text}" if text else name))

    # What it holds: as it was captured, masked and bounded

    @property
    def name(self) -> str:
        """What the step is called."""
        return str(_decode(self.name_text))

    @property
    def context(self) -> dict[str, Any]:
        """What the step was given when it was made, as it was recorded: a fresh copy, plain JSON data."""
        return dict(_decode(self.context_text))

    @property
    def logs(self) -> list[dict[str, Any]]:
        """What was logged, as it was recorded: fresh copies; `_t` is the time in seconds since 1970."""
        return [_decode(text) for text in self.log_texts]

    @property
    def outcome(self) -> str | None:
        """How it ended; None while it is open."""
        return str(_decode(self.outcome_text)) if self.ended else None

    @property
    def error(self) -> str | None:
        """What went wrong, in one line; None where nothing did."""
        text: str | None = _decode(self.error_text)
        return text

    @property
    def duration_ms(self) -> float | None:
        """Milliseconds by the monotonic clock, never negative; None while it is open."""
        return round(self.elapsed_ns / 1e6, 3) if self.ended else None

    @property
    def traceparent(self) -> str:
        """This step as the parent of what another process does: a W3C Trace Context `traceparent` (version 00)."""
        return f"00-{self._origin.trace_id}-{self.id}-01"

    def to_dict(self) -> dict[str, Any]:
        """The step with the keys of its line; times are seconds since 1970, None for what has not happened."""
        return {
            "name": self.name,
            "context": self.context,
            "started_at": self.started_ns / 1e9 if self.started_ns else None,
            "finished_at": self.finished_ns / 1e9 if self.ended else None,
            "duration_ms": self.duration_ms,
            "outcome": self.outcome,
            "error": self.error,
            "logs": self.logs,
            "id": self.id,
            "parent": self.parent,
        }

    def __dir__(self) -> list[str]:
        """What a user may want; the captured pieces stay out of completion."""
        return sorted({*super().__dir__()} - {*Parts.__slots__, "cut_middle"} | {"id", "parent"})

    def __copy__(self) -> Step:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Step:
        return self  # a copy of an agent's state holds the same step

    def __reduce__(self) -> str:
        raise TypeError(
            "a Step cannot be pickled, as two processes must not write one journal: "
            "hand over step.traceparent, and make a Tracer with it there"
        )

    def __repr__(self) -> str:
        state = self.outcome or ("open" if self.started_ns else "not started")
        return f"<Step {self.name!r} {self.id} {state}>"


def _decode(text: str) -> Any:
    import json

    return json.loads(text)


def _with(fields: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    """*fields* with *value* in front under *key*, or under "key (positional)" where a field has that name."""
    return {key if key not in fields else f"{key} (positional)": value, **fields}


def _whereabouts() -> str:
    """Thread and task as JSON text for a line; "" in the main thread outside asyncio."""
    where = ""
    if _get_ident() != _MAIN_THREAD:
        where = f',"thread":{quote(str(threading.current_thread().name))}'
    asyncio = _modules.get("asyncio")
    if asyncio is not None and asyncio._get_running_loop() is not None:
        task = asyncio.current_task()
        if task is not None:
            where += f',"task":{quote(str(task.get_name()))}'
    return where


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as trouble:
        return f"<unprintable: {type(trouble).__name__}>"


def _traceback(error: BaseException) -> str:
    """The whole traceback with causes and groups; a broken exception class costs only its own text."""
    try:
        import traceback

        return "".join(traceback.format_exception(type(error), error, error.__traceback__))
    except Exception as trouble:
        return f"<no traceback: {type(trouble).__name__}>"


def _cancels(error: BaseException) -> bool:
    """Was the step told to stop, rather than going wrong? `asyncio` and `trio` name their classes so."""
    if isinstance(error, (KeyboardInterrupt, SystemExit, GeneratorExit)):
        return True
    return any(kind.__name__ in ("CancelledError", "Cancelled") for kind in type(error).__mro__)
