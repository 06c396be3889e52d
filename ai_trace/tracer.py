"""The root object: one tracer is one session of one agent. It hands out steps and saves snapshots.

Only construction raises, with a sentence: wrong arguments, or a folder that cannot be used. After that nothing
raises because of tracing; `Tracer.dropped` says what could not be kept.
What the environment sets stands in `settings`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, overload

from . import clock, safe, settings
from .capture import Blind, Capture
from .record import LIMITS, Limits
from .news import complain
from .recorder import Recorder
from .redact import DEFAULT_RULES, Redactor, Rules
from .sinks import Memory, Nothing, Sink
from .step import Origin, Step

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from .session import Session

__all__ = ["Tracer"]

F = TypeVar("F", bound=Callable[..., Any])
MOST_AGENT = 2000  # characters of an agent's name


class Tracer:
    """Records one session of *agent* into a folder; nothing is created there before the first step starts.

    Args:
        agent: the agent's name, any text; file names carry a safe form of it, the data the true one.
        trace_dir: the folder; made (mode 0700) when the first step starts. Default: AI_TRACE_DIR, else "traces".
        auto_save: True writes each step as it happens; False keeps the steps in memory until `save`.
        meta: facts about the session (model, version, run id); may be changed later, item by item or whole.
        sync: "never" survives the death of the process; "step" also a power cut, for each finished step
            (fdatasync at its end); "always" syncs each start and log, too.
        seal: True gives each line a chained SHA-256, by which `ai-trace verify` finds what was changed; a key (bytes
            or str) an HMAC-SHA256 with that key. What either can prove: `seal.py`.
        redact: the rules by which secrets are masked; None records everything as it is.
        limits: how much of one value and of one step is kept.
        traceparent: a W3C `traceparent`: root steps become children of that span, in its trace.
        rotate: go on in a new segment of the session past a size ("100MB") or an age ("12h", "1d"), looked at
            ten times a second; every command reads the segments as one session.

    Raises:
        UsageError: arguments that mean nothing, or a folder that cannot be used.
    """

    def __init__(
        self,
        agent: str,
        trace_dir: str | os.PathLike[str] | None = None,
        auto_save: bool = True,
        meta: Mapping[str, Any] | None = None,
        *,
        sync: str = "never",
        seal: bool | bytes | str = False,
        redact: Rules | None = DEFAULT_RULES,
        limits: Limits = LIMITS,
        traceparent: str | None = None,
        rotate: str | None = None,
    ) -> None:
        settings.require(settings.isa(agent, str), "agent must be a str", agent)
        settings.require(type(auto_save) is bool, "auto_save must be True or False", auto_save)
        settings.require(redact is None or settings.isa(redact, Rules), "redact must be Rules or None", redact)
        settings.require(settings.isa(limits, Limits) and min(limits) > 0, "limits must be positive Limits", limits)
        self.agent = agent
        self.auto_save = auto_save
        self._folder = settings.folder(trace_dir)
        self._trace_id, self._parent = settings.remote_parent(traceparent)
        self._recording = not settings.disabled()
        self._stamp = time.strftime("%Y%m%d_%H%M%S", time.gmtime(clock.active.wall_ns() // 1_000_000_000))
        redactor = None if redact is None else Redactor(redact)
        self._capture = Capture(redactor, limits) if self._recording else Blind(None, limits)
        self._agent_text, self._masked = self._capture.text(agent, MOST_AGENT)
        key, sync, rotation = settings.seal(seal, auto_save), settings.sync(sync), settings.rotation(rotate)
        self._sink = Nothing() if not self._recording else Memory() if not auto_save else self._recorder(sync, key, rotation)
        self._meta = Meta(self._meta_changed)
        self.meta = settings.fields(meta)
        self._origin = Origin(self._sink, self._capture, limits, self._trace_id, self._parent)

    def _recorder(self, sync: str, key: bool | bytes | str, rotation: tuple[int, int]) -> Recorder:
        settings.check_folder(self._folder)
        seal = None
        if key is not False:
            from .seal import Seal

            seal = Seal(None if key is True else key)
        return Recorder(
            self._folder, self._agent_text, self._stamp, self._trace_id, sync, self._parent, seal, rotation
        )  # fmt: skip

    # Steps

    def step(self, name: str, /, **context: Any) -> Step:
        """A new step, not yet started: enter it by `with` or `async with`, or `start` it by hand.

        Args:
            name: a short label for this decision, the same for each of its kind ("market_scan").
            **context: what the agent sees, captured now; any names and any values.
        """
        return Step(self._origin, name, context)

    @overload
    def traced(self, target: F, /) -> F: ...

    @overload
    def traced(
        self, target: str | None = None, /, *, args: bool = True, result: bool = True, **context: Any
    ) -> Callable[[F], F]: ...

    def traced(self, target: Any = None, /, *, args: bool = True, result: bool = True, **context: Any) -> Any:
        """A decorator that makes each call of a function a step: plain, async, generator, async generator.

        As `@tracer.traced`, or `@tracer.traced("name", key=value)`: the arguments become the context by their
        names (not with `args=False`), what is returned is logged as `result` (not with `result=False`).
        """
        from .traced import traced

        return traced(self._open, target, args=args, result=result, **context)

    def _open(self, name: str, context: dict[str, Any]) -> Step:
        return Step(self._origin, name, context)

    # The session so far

    @property
    def meta(self) -> dict[str, Any]:
        """Facts about the session. Setting or changing an item tells it on the next line; what lies deeper does not."""
        return self._meta

    @meta.setter
    def meta(self, meta: Mapping[str, Any]) -> None:
        dict.clear(self._meta)
        self._meta.update(meta)

    def _meta_changed(self) -> None:
        text, self._meta_masked = self._capture.fields(dict(self._meta))
        self._sink.set_meta(text)

    @property
    def trace_dir(self) -> Path:
        """The trace folder, absolute."""
        from pathlib import Path

        return Path(self._folder)

    @property
    def session_id(self) -> str:
        """The session's label, `YYYYMMDD_HHMMSS` in UTC; a taken one becomes "…-2" when the first step starts."""
        return getattr(self._sink, "session_id", self._stamp)

    @property
    def trace_id(self) -> str:
        """The session's identity: 32 hex digits, random (a W3C trace id)."""
        return self._trace_id

    @property
    def path(self) -> Path:
        """The session's journal, where it is or will be when the first step starts; `ai_trace.load` takes it.

        Forked children and a tracer used again after `close` write segments beside it, which are read with it.
        """
        from pathlib import Path

        return Path(self._snapshot_path(".jsonl"))

    @property
    def steps(self) -> list[Step]:
        """The last finished steps, oldest first: at most 100 and 4 MiB; with `auto_save=False` all of them."""
        kept = self._sink.steps if isinstance(self._sink, Memory) else self._sink.tally.ring
        return [step for step in list(kept) if isinstance(step, Step)]

    @property
    def dropped(self) -> dict[str, int]:
        """How many records could not be kept, by reason; empty when all is well."""
        return dict(self._sink.dropped)

    def summary(self) -> dict[str, Any]:
        """The session in numbers, of this process's finished steps.

        Returns:
            agent, session_id, steps, ok, errors, avg_duration_ms (milliseconds, None without steps), cancelled,
            other (outcomes of the app's own), redacted (values masked), dropped (records lost), trace_id.
        """
        tally = self._sink.tally
        words = dict(tally.outcomes)
        steps = sum(words.values())
        ok, errors, cancelled = (words.get(f'"{word}"', 0) for word in ("ok", "error", "cancelled"))
        return {
            "agent": self.agent,
            "session_id": self.session_id,
            "steps": steps,
            "ok": ok,
            "errors": errors,
            "avg_duration_ms": round(tally.elapsed_ns / 1e6 / steps, 2) if steps else None,
            "cancelled": cancelled,
            "other": steps - ok - errors - cancelled,
            "redacted": tally.masked + self._masked + self._meta_masked,
            "dropped": sum(self._sink.dropped.values()),
            "trace_id": self._trace_id,
        }

    # Snapshots

    def save(self) -> Path:
        """Write the session so far as one JSON file, whole or not at all, and return its path.

        With `auto_save=True` it is read back from the journal. A disk that refuses is a counted drop, not an error;
        then, and where tracing is switched off, there is no file at the path that is returned.
        """
        return self._save("json")

    def save_markdown(self) -> Path:
        """Write the session so far as a Markdown postmortem, whole or not at all, and return its path."""
        return self._save("md")

    def save_html(self) -> Path:
        """Write the session so far as one self-contained HTML page, whole or not at all, and return its path."""
        return self._save("html")

    def _save(self, form: str) -> Path:
        from pathlib import Path

        path = self._snapshot_path(f".{form}")
        if self._recording:
            try:
                from . import snapshot

                path = snapshot.write(self.session(), path, form)
            except Exception as err:
                self._sink.drop(f"{form} snapshot: {type(err).__name__}")
                complain(f"cannot save {path}", err)
        return Path(path)

    def _snapshot_path(self, suffix: str) -> str:
        stem = f"{safe.file_name(self._agent_text)}_{self.session_id}"
        return os.path.join(self._folder, stem + suffix)

    def session(self) -> Session:
        """The session so far, as a reader sees it: what `ai_trace.load` answers, also without files."""
        from . import folder
        from .session import fold

        if isinstance(self._sink, Memory):
            return fold(self._sink.records(), state="running", info=self._info())
        journal = self._snapshot_path(".jsonl")
        return folder.load(journal) if os.path.exists(journal) else fold((), info=self._info())

    def _info(self) -> dict[str, Any]:
        import json

        meta = json.loads(self._capture.fields(dict(self._meta))[0])
        return {"agent": self._agent_text, "session_id": self.session_id, "trace_id": self._trace_id, "meta": meta}

    # The end

    def close(self) -> None:
        """Let go of the files; a step still open is recorded as cancelled. Never needed for data: no step waits.

        The end of the process does the same. A step started afterwards begins a new segment of the session.
        """
        self._sink.close()

    def __enter__(self) -> Tracer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __copy__(self) -> Tracer:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Tracer:
        return self  # a copy of an agent's state records into the same session

    def __reduce__(self) -> str:
        raise TypeError(
            "a Tracer cannot be pickled, as two processes must not write one journal: "
            "make one in each process, with traceparent=step.traceparent to join them"
        )

    def __repr__(self) -> str:
        said = self.summary()
        return f"<Tracer agent={self.agent!r} steps={said['steps']} ok={said['ok']} errors={said['errors']}>"


class Meta(dict[str, Any]):
    """The session's meta: a dict that says when it was changed."""

    def __init__(self, changed: Callable[[], None]) -> None:
        super().__init__()
        self._changed = changed

    def __reduce__(self) -> Any:
        return dict, (dict(self),)


def _telling(change: Callable[..., Any]) -> Callable[..., Any]:
    def told(self: Meta, *args: Any, **fields: Any) -> Any:
        answer = change(self, *args, **fields)
        self._changed()
        return answer

    return told


for _name in ("__setitem__", "__delitem__", "__ior__", "clear", "pop", "popitem", "setdefault", "update"):
    setattr(Meta, _name, _telling(getattr(dict, _name)))
