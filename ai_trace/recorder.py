"""The recorder: one lock around a journal and its black box. It is the sink that steps write to.

Guarantees:
- No call raises because of tracing; what could not be kept is counted by reason, said once on stderr, and told
  in the next line that can be written.
- A call from inside another (a signal handler, a `__del__` run by the collector) is put off until that is done.
- A forked child never writes to its parent's files: it begins a segment of its own, `<stem>.<n>.jsonl`.

Lock discipline: `_lock` must be held wherever `_journal`, `_box` or the counts change. Who holds it already is
inside a call of ours, and what it asks meanwhile (from a handler or a finalizer) waits in `_put_off`.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import alive, clock, disk, journal, lifetime, live, pair, safe
from .blackbox import BlackBox
from .line import Parts, encode_step, quote, seconds
from .news import News, log, reason
from .sinks import Tally

if TYPE_CHECKING:
    from .seal import Seal

__all__ = ["Recorder"]

CHECK_EVERY_NS = 100_000_000  # a look at the journal's path costs 1 µs: ten times a second is seldom enough
CHECK_EVERY_LINES = 64  # and often enough: so many lines at the most are written to a file that was taken away
MOST_NAMES = 10_000  # sessions of one agent that may begin in one second
MOST_FAILURES = 3  # input/output errors on one file before another is tried
LONGEST_WAIT = 2.0  # seconds that the end of the process may wait for a thread inside a write


class Recorder:
    """Writes the steps of one session into folder *folder*; no file is made before the first step begins.

    Args:
        folder: absolute path of the trace folder.
        agent: the agent's true name.
        stamp: the session's label, `YYYYMMDD_HHMMSS`; a taken one gets "-2", "-3", …
        trace_id: 32 hex digits.
        sync: "never", "step" or "always".
        parent: the remote parent's span id, or None.
        seal: how each line is sealed; None leaves them unsealed.
        rotation: bytes and nanoseconds after which a new segment begins.

    Attributes:
        session_id: settled when the first step begins.
        path: the journal of this process, settled in the same way.
        dropped: how many records could not be kept, by reason.
        tally: counts of the finished steps.
    """

    def __init__(
        self,
        folder: str,
        agent: str,
        stamp: str,
        trace_id: str,
        sync: str,
        parent: str | None,
        seal: Seal | None,
        rotation: tuple[int, int],
    ) -> None:
        self.session_id = stamp
        self.tally = Tally()
        self._folder = folder
        self._stem = safe.file_name(agent)
        self._stamp = stamp
        self._trace_id = trace_id
        self._sync = sync
        self._most_bytes, self._most_ns = rotation
        self._rotate_at_ns = 0
        self._seal = seal
        self._segment = 0
        self.path = self._named()
        rest: dict[str, Any] = {"started_at": clock.active.wall_ns() / 1e9}
        if parent is not None:
            rest["parent"] = parent
        if seal is not None:
            rest["seal"] = seal.kind
        self._news = News({"agent": agent, "session_id": stamp, "trace_id": trace_id}, rest)
        self.dropped = self._news.dropped
        self._journal: journal.Journal | None = None
        self._box: BlackBox | None = None
        self._checked_ns = self._check_at_ns = 0
        self._failures = 0
        self._lock = threading.RLock()
        self._inside: Callable[[], bool] = self._lock._is_owned  # type: ignore[attr-defined]
        self._put_off: list[tuple[Callable[..., None], tuple[Any, ...]]] = []
        lifetime.watch(self)

    def __del__(self) -> None:
        if getattr(self, "_journal", None) is not None:
            self.close("its tracer was dropped")

    # What a step calls: begin, note, end. Each returns when the record is with the kernel, or counted.

    def begin(self, step: Parts) -> None:
        """*step* began: it is in the black box when this returns."""
        if self._inside():
            return self._put_off.append((self.begin, (step,)))
        with self._lock:
            try:
                book = self._journal or self._look_after(step.started_ns)
                if self._box is not None:
                    self._box.start(step, book.size)
            except Exception as err:
                self._unseen(err)
        if self._put_off:
            self._catch_up()

    def note(self, step: Parts, entry: str) -> None:
        """*step* logged *entry*: it is among its logs, and in the black box, when this returns."""
        if self._inside():
            return self._put_off.append((self.note, (step, entry)))
        with self._lock:
            step.log_texts.append(entry)
            try:
                if self._box is not None and self._journal is not None:
                    self._box.log(step, entry, self._journal.size)
            except Exception as err:
                self._unseen(err)
        if self._put_off:
            self._catch_up()

    def end(self, step: Parts) -> None:
        """*step* is finished: its line is in the journal when this returns."""
        if self._inside():
            return self._put_off.append((self.end, (step,)))
        with self._lock:
            if step.told:
                return
            before = -1
            try:
                book = self._journal
                if (
                    book is None
                    or not self._checked_ns <= step.finished_ns < self._check_at_ns
                    or book.lines > CHECK_EVERY_LINES
                ):
                    book = self._look_after(step.finished_ns)
                before = book.size
                if self._news.waiting:
                    book.append(encode_step(step, self._news.tell(), book.room))
                    self._news.told()
                else:
                    book.append(encode_step(step, "", book.room))
            except Exception as err:
                self._refused(err)
            except BaseException:  # Ctrl-C: was the line written? If not, `close` tells the step
                step.told = before >= 0 and self._journal is not None and self._journal.grew_whole(before)
                raise
            step.told = True
            self.tally.add(step)
            try:
                if self._box is not None:
                    self._box.end(step)
            except Exception as err:
                self._unseen(err)
        if self._put_off:
            self._catch_up()

    def shorten(self, step: Parts) -> None:
        """Cut the middle out of the logs of *step*; the black box lets go of them, too."""
        if self._inside():
            return self._put_off.append((self.shorten, (step,)))
        with self._lock:
            step.cut_middle(clock.active.wall_ns())
            try:
                if self._box is not None and self._journal is not None:
                    self._box.rewrite(self._journal.size)
            except Exception as err:
                self._unseen(err)
        if self._put_off:
            self._catch_up()

    def drop(self, why: str) -> None:
        """Count a record that could not be kept."""
        with self._lock:
            self._news.drop(why)

    def set_meta(self, meta_text: str) -> None:
        """The session's meta changed; the next line tells it."""
        with self._lock:
            self._news.meta_text = meta_text
            self._news.retell()

    def _catch_up(self) -> None:
        """Do what was put off while this thread was inside."""
        while self._put_off:
            try:
                act, args = self._put_off.pop(0)
            except IndexError:  # another thread was quicker
                return
            act(*args)

    # Files

    def _named(self) -> str:
        segment = f".{self._segment}" if self._segment else ""
        return os.path.join(self._folder, f"{self._stem}_{self.session_id}{segment}.jsonl")

    def _open_files(self) -> journal.Journal:
        """Make the journal and the black box under the first free name.

        The journal is taken into use last: what Ctrl-C leaves half done before that is done anew.
        """
        disk.active.mkdir(self._folder)
        self._news.retell()
        self._rotate_at_ns = clock.active.wall_ns() + self._most_ns
        for number in range(2, MOST_NAMES):
            if (made := self._claim(self.path)) is not None:
                break
            if self._segment:
                self._begin_segment()
            else:
                self.session_id = self._news.session["session_id"] = f"{self._stamp}-{number}"
                self.path = self._named()
        else:
            raise OSError(errno.EEXIST, f"no free name for a journal after {MOST_NAMES} tries", self.path)
        lifetime.close_at_the_end()
        try:
            if self._sync != "never":
                pair.sync_folder(self._folder, self._news.notice)
        except BaseException:  # Ctrl-C: neither file holds anything yet
            pair.take_back(*made)
            raise
        book, self._box = made
        self._journal = book
        return book

    def _claim(self, path: str) -> tuple[journal.Journal, BlackBox | None] | None:
        if not self._segment and os.path.lexists(os.path.splitext(path)[0] + ".json"):
            return None  # an older session's snapshot
        return pair.claim(path, self._new_journal, self._header, self._sync == "always", self._news.notice)

    def _new_journal(self, path: str) -> journal.Journal:
        durable = self._sync != "never"
        if self._seal is None:
            return journal.Journal(path, durable)
        from .sealed_journal import SealedJournal

        return SealedJournal(path, durable, self._seal, self._trace_id, self._segment)

    def _look_after(self, now_ns: int) -> journal.Journal:
        """The journal, opened if need be; begun anew where somebody deleted, moved or replaced it."""
        book = self._journal
        if book is None:
            return self._open_files()
        self._checked_ns, self._check_at_ns = now_ns, now_ns + CHECK_EVERY_NS
        lines, fate = book.lines, book.verify_place()
        if fate is None:
            if book.size >= self._most_bytes or now_ns >= self._rotate_at_ns:
                self._begin_segment()
                return self._begin_anew()
            return book
        self._tell_fate(fate, lines)
        return book if fate == "truncated" else self._begin_anew()

    def _tell_fate(self, fate: str, lines: int) -> None:
        """Somebody took the journal away; of the *lines* since the last look nobody knows whether they were read."""
        self._news.notice(f"the journal was {fate} by someone")
        self._say(f"{self.path} was {fate} by someone", FileNotFoundError("recording goes on in a new file"))
        if fate == "deleted" and lines:
            self._news.drop("the journal was deleted", lines)

    def _begin_anew(self) -> journal.Journal:
        """Other files for the same session, with the steps that are open; then the old ones are let go."""
        open_steps = self._box.open_steps if self._box is not None else []
        old_book, old_box, places = self._journal, self._box, [step.place for step in open_steps]
        self._journal = self._box = None
        try:
            book = self._open_files()
            if self._box is not None:
                self._box.adopt(open_steps, book.size)
                if old_box is not None:
                    old_box.bury(places)  # moved elsewhere, it would show them as open for ever
        finally:
            pair.let_go(old_book, old_box)
        return book

    def _let_go(self) -> None:
        book, self._journal = self._journal, None
        box, self._box = self._box, None
        pair.let_go(book, box)

    def _header(self, at: int) -> bytes:
        return live.encode_header(self._news.header(), at, alive.identity())

    # When the disk says no

    def _refused(self, err: Exception) -> None:
        """A line was refused, and that is a drop; or it was written but not synced, and that is told.

        A file that cannot be synced, or fails again and again, is left for a new segment: what the kernel
        could not write it forgets, so a second try would prove nothing.
        """
        self._complain(err)
        if isinstance(err, journal.Unsynced):
            self._news.notice(f"a step was written, but not synced ({reason(err)}): a power cut may take it")
            self._failures = MOST_FAILURES
        else:
            self._news.drop(reason(err))
            self._failures += getattr(err, "errno", None) == errno.EIO
        if self._failures >= MOST_FAILURES and self._journal is not None:
            self._failures = 0
            self._begin_segment()
            try:
                self._begin_anew()
            except Exception as trouble:
                self._complain(trouble)  # the next step tries again

    def _unseen(self, err: Exception) -> None:
        """The black box was refused: nothing is lost while the process lives, but a viewer sees less."""
        self._news.notice(f"the black box could not be written: {reason(err)}")
        self._complain(err)

    def _complain(self, err: Exception) -> None:
        self._say(f"cannot record to {self.path}", err)

    def _say(self, what: str, err: Exception) -> None:
        if self._news.complain(what, err):
            self._put_off.append((log, (what, err)))  # a handler of the app may wait for a thread that records

    # The end, and the fork

    def close(self, reason: str = "its tracer was closed") -> None:
        """Let go of the files; a step still open is finished as cancelled. Later steps begin a new segment."""
        if self._inside() or not self._lock.acquire(timeout=LONGEST_WAIT):
            return  # a thread hangs in a write: the files stay as evidence
        try:
            open_steps = self._box.open_steps if self._box is not None else []
        finally:
            self._lock.release()
        for step in open_steps:
            if not step.told:
                self._cut_off(step, f"still open when {reason}" if not step.ended else "its end was interrupted")
        with self._lock:
            if self._journal is not None:
                try:
                    lines, fate = self._journal.lines, self._journal.verify_place()
                    if fate is not None:
                        self._tell_fate(fate, lines)
                    self._let_go()
                except Exception as err:
                    self._complain(err)
                self._begin_segment()
        self._catch_up()

    def _cut_off(self, step: Parts, reason: str) -> None:
        step.live, step.ended = False, True
        step.finished_ns = clock.active.wall_ns()
        step.finished_text = seconds(step.finished_ns)
        step.elapsed_ns = max(0, clock.active.steady_ns() - step.steady_ns)
        step.outcome_text, step.error_text = '"cancelled"', quote(reason)
        self.end(step)

    def _begin_segment(self) -> None:
        self._segment += 1
        self._news.rest["segment"] = self._segment
        self.path = self._named()

    def after_fork(self) -> None:
        """In the child: a new lock, a new segment, nothing shared with the parent."""
        self._lock = threading.RLock()
        self._inside, self._put_off = self._lock._is_owned, []  # type: ignore[attr-defined]
        for step in self._box.open_steps if self._box is not None else []:
            step.live = False  # the parent's process ends it
        for file in (self._box, self._journal):
            try:
                if file is not None:
                    file.close()
            except OSError:
                pass
        self._box = self._journal = None
        self._news.forget()
        self._begin_segment()
