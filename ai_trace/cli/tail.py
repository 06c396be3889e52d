"""`ai-trace tail`: the last steps, then each step and log as it happens.

A step is shown when it begins, with what it saw; its logs as they are said; its end when it ends. Without a
SESSION the newest is followed, every session that runs, and each that begins later, also where the folder
itself appears later; where more than one runs, its name stands before each line. With a SESSION the command
ends when that session does.

Limits: while nothing happens a look every half second costs a few `stat` calls; nothing runs in between.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final

from .. import folder, safe
from . import choose, options, sieve, times
from .followed import Followed
from .output import Output, Stop

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

__all__ = ["HELP", "EXAMPLES", "arguments", "run"]

HELP = "Show the last steps of a session, then each step and log as it happens."
EXAMPLES = """
examples:
  ai-trace tail                       whatever runs in the folder, now and later
  ai-trace tail latest                the newest session, until it ends
  ai-trace tail -n 100 --no-follow    the last hundred steps, no waiting
  ai-trace tail --errors --name 'call*'
  ai-trace tail --jsonl | jq 'select(.event == "finished") | .step.name'

--jsonl is a line of JSON for each event, as it happens (--json is the same here);
its keys: event (started, log, finished, damage, notice, state), session,
  and by event: step; id, name, entry; step; damage; text; state
"""
EXAMPLES += sieve.GRAMMAR

_DEFAULT_STEPS: Final = 20
_SHORTEST_S: Final = 0.05  # between two looks while things happen
_LONGEST_S: Final = 0.5  # when nothing has happened for a while
_RAREST_S: Final = 5.0  # when a look takes long
_PREFIX_COLORS: Final = ("36", "33", "35", "32", "34")  # red is for errors


def arguments(parser: ArgumentParser) -> None:
    """The options of `tail`."""
    add = parser.add_argument
    add("session", nargs="?", metavar="SESSION",
        help=choose.STORED
        + "; without one: whatever runs in the folder")
    add("-n", type=options.count, default=_DEFAULT_STEPS, metavar="N",
        help=f"begin with the last N finished steps that fit (default: {_DEFAULT_STEPS})")  # fmt: skip
    sieve.arguments(parser)
    add(
        "-f", "-F", "--follow", action="store_true", default=True, help="go on as things happen (the default)"
    )
    add("--no-follow", dest="follow", action="store_false", help="end after the last steps")
    add("--full", action="store_true", help="show values, logs and tracebacks whole")
    add("--utc", action="store_true", help="times in UTC instead of local time")
    add("--jsonl", "--json", dest="json", action="store_true", help="a line of JSON for each event, also as --json")


def run(args: Namespace, out: Output) -> int:
    """Show and follow; 0 when the named session is over, or with --no-follow; 1 where its journal could not be read."""
    if args.session == "-":
        raise Stop("standard input cannot be followed; see it with: ai-trace view -", 2)
    watch = _Watch(args, out)
    try:
        return watch.named(args.session) if args.session is not None else watch.folder()
    finally:
        watch.close()


class _Watch:
    """The sessions that are followed, and the loop around them."""

    def __init__(self, args: Namespace, out: Output) -> None:
        self._args = args
        self._out = out
        self._followed: dict[str, Followed] = {}
        self._known: set[str] = set()
        self._folder_seen: object = None
        self._pause_s = _SHORTEST_S

    def named(self, word: str) -> int:
        """Follow the session that *word* names until it is over."""
        source = choose.choose(word, self._args.dir)
        path, name = (
            (source, os.path.basename(source)) if isinstance(source, str) else (source.path, source.name)
        )
        if not os.path.isfile(path):
            raise Stop(f"{path} is not a regular file")
        session = self._add(path, name, self._args.n)
        self._look()
        while self._args.follow and not session.over:
            self._pause()
            self._look()
        return 1 if session.follower.refused else 0

    def folder(self) -> int:
        """Follow what runs in the folder; never ends by itself unless asked not to follow."""
        known = choose.entries(self._args.dir)
        if not known and not self._args.follow:
            raise Stop(choose.missing(self._args.dir))
        if not known:
            self._out.message(f"waiting for a session in {self._args.dir} (Ctrl-C to stop)")
        self._known.update(entry.name for entry in known)
        for entry in reversed(known[1:]) if self._args.follow else ():
            if _has_box(entry) and entry.state == "running":
                self._add(entry.path, entry.name, 0)
        newest = [self._add(entry.path, entry.name, self._args.n) for entry in known[:1]]
        self._look()
        while self._args.follow:
            self._pause()
            self._look()
        return 1 if any(session.follower.refused for session in newest) else 0

    def close(self) -> None:
        """Let go of all files."""
        for session in self._followed.values():
            session.follower.close()

    def _add(self, path: str, name: str, last: int | None) -> Followed:
        color = _PREFIX_COLORS[len(self._followed) % len(_PREFIX_COLORS)]
        session = self._followed[name] = Followed(path, name, color, last, self._args, self._out)
        return session

    def _look(self) -> None:
        """Show what has happened since the last look, and settle how long to wait for the next."""
        began = time.monotonic()
        if self._args.session is None and self._args.follow:
            self._discover()
        found = [(session, session.gather()) for session in self._followed.values()]
        running = [session.prefix for session, _ in found if session.ran]
        columns = max(map(safe.width, running)) if len(running) > 1 else 0
        for session, events in found:
            session.show(events, columns)
        for session, _ in found:
            if session.over:
                del self._followed[session.name]
                if self._args.follow:
                    session.farewell(waiting=self._args.session is None and not self._followed)
        self._out.flush()
        if any(events for _, events in found):
            self._pause_s = _SHORTEST_S
        else:  # a look at very many sessions takes long; still it must cost no more than 1 % of the time
            took = time.monotonic() - began
            self._pause_s = max(min(_LONGEST_S, self._pause_s * 1.5), min(_RAREST_S, 100 * took))

    def _pause(self) -> None:
        if not any(session.follower.more for session in self._followed.values()):
            self._out.wait(self._pause_s)

    def _discover(self) -> None:
        """Take up sessions that appeared; the folder is listed only when it has changed."""
        seen = _changed_at(self._args.dir)
        if seen is None or seen == self._folder_seen:
            return
        # The clock of a file system is coarse: a second change may hide behind the same time. Look once more.
        self._folder_seen = seen if abs(times.now() - seen) > 1 else None
        for entry in reversed(folder.sessions(self._args.dir)):
            if entry.name not in self._known:
                self._known.add(entry.name)
                self._out.message(f"{entry.name} has begun")
                self._add(entry.path, entry.name, None)


def _has_box(entry: folder.Entry) -> bool:
    return any(path.endswith(".live") for path in entry.paths)


def _changed_at(path: str) -> float | None:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return None
