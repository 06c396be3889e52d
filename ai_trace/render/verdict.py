"""What happened to a session, in a sentence or two, and what a reader should know about its record. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..record import Record
from ..session import Session
from ..tree import ended_at
from .words import duration, inflight, moment, plural, route

__all__ = ["verdict", "remarks"]


def remarks(session: Session) -> Iterator[str]:
    """Sentences about the record itself: what was masked, what could not be written, what is damaged."""
    if session.redacted:
        yield f"{plural(session.redacted, 'value')} masked as secret before writing."
    for reason, count in session.dropped.items():
        yield f"{plural(count, 'record')} could not be written: {reason}."
    if session.damage:
        yield f"{plural(len(session.damage), 'damaged place')} in the files; every readable step is shown."
    yield from session.notices


def verdict(
    session: Session,
    quote: Callable[[str], str],
    *,
    now: float | None = None,
    bold: str = "",
    arrow: str = " › ",
    utc: bool = True,
) -> str:
    """What happened, in a sentence or two.

    Recorded text goes through *quote*; *bold* goes around the first words; times are UTC, or local.
    """
    return _Teller(session, quote, now, bold, arrow, utc).tell()


class _Teller:
    """Says what happened to one session."""

    def __init__(
        self,
        session: Session,
        quote: Callable[[str], str],
        now: float | None,
        bold: str,
        arrow: str,
        utc: bool,
    ) -> None:
        self.session = session
        self.quote = quote
        self.now = now
        self.bold = bold
        self.arrow = arrow
        self.utc = utc

    def tell(self) -> str:
        session = self.session
        if not session.steps:
            return f"{self.strong('Nothing was recorded')}: the session holds no step."
        if session.unfinished:
            return self.unfinished()
        if session.state == "died":
            plain = _Teller(session, self.quote, self.now, "", self.arrow, self.utc)
            return f"{self.strong('Died')} between two steps: {self.heard()}. {plain.outcome()}"
        running = " The process was still running." if session.state == "running" else ""
        return self.outcome() + running

    def outcome(self) -> str:
        """How the steps that ended went."""
        session, totals = self.session, self.session.totals
        if session.fatal_error is not None:
            return self.ended_in("Failed", session.fatal_error)
        if session.stopped_in is not None:
            return self.ended_in("Stopped", session.stopped_in)
        took = f" in {duration(session.duration_ms)}"
        if session.first_error is not None:
            start = self.strong(f"Finished, but {_of(totals.errors, totals.steps)} failed") + took
            return f"{start}. The first was {self.where(session.first_error)}; the run went on after it."
        if totals.cancelled:
            were = "was" if totals.cancelled == 1 else "were"
            some = f"{plural(totals.steps, 'step')}{took}, none failed, {totals.cancelled:,} {were} cancelled"
            return f"{self.strong('Finished')}: {some}."
        return f"{self.strong('Nothing failed')}: {plural(totals.steps, 'step')}{took}."

    def unfinished(self) -> str:
        session = self.session
        depth_and_time = lambda record: (session.node(record).depth, record.started_at or 0)  # noqa: E731
        last = max(session.unfinished, key=depth_and_time)
        where = self.path(last)
        if session.state == "running":
            doing = inflight(last, "running", self.now)
            return f"{self.strong('Still running')}: {where}, {doing}. {self.ended(' so far')}"
        if session.state == "died":
            return f"{self.strong('Died')} in {where}: {self.heard()}. {self.ended(' before')}"
        return f"{self.strong('Not finished')}: {where} began, and no end of it is recorded. {self.ended('')}"

    def heard(self) -> str:
        last = moment(self.session.ended_at, utc=self.utc)
        return f"the process was last heard of at {last} and ended without a word"

    def ended(self, when: str) -> str:
        totals = self.session.totals
        done = totals.steps - totals.unfinished
        failed = f", {totals.errors:,} of them failed" if totals.errors else ""
        return f"{plural(done, 'step')} ended{when}{failed}."

    def ended_in(self, how: str, last: Record) -> str:
        """The step in which the run ended, why, and where it first went wrong, if that was elsewhere."""
        session = self.session
        start = f"{self.strong(how)} after {duration(session.duration_ms)}: {self.where(last)}."
        first = session.first_error
        if first is None or first is last:
            return start
        many = plural(session.totals.errors, "step")
        return f"{start} {many} failed in all; the first was {self.where(first)}."

    def where(self, record: Record) -> str:
        why = self.quote(record.error) if record.error else ""
        said = f" ({why})" if why and record.outcome == "cancelled" else f" with {why}" if why else ""
        return f"{self.path(record)}{said} at {moment(ended_at(record), utc=self.utc)}"

    def path(self, record: Record) -> str:
        return route(self.session.path_to(record), self.quote, self.arrow)

    def strong(self, text: str) -> str:
        return f"{self.bold}{text}{self.bold}"


def _of(part: int, whole: int) -> str:
    return f"{part:,} of {plural(whole, 'step')}"

