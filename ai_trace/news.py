"""What a journal must tell of its session, and rides on the next line: there are no lines that are not steps.

The session's header on the first line of each file and again when its meta changed; what could not be written,
counted by reason; what was moved or begun anew. Trouble is also said on stderr and to the logger `ai_trace`, once for
each kind.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from typing import Any

from . import alive, safe
from .record import FORMAT, VERSION

__all__ = ["News", "complain", "log", "reason"]

MOST_NOTICES = 20  # untold at a time; the counts of drops are told in full


class News:
    """The news of one session. Not locked by itself: the recorder changes it under its own lock.

    Args:
        session: agent, session_id, trace_id: the header's first keys, in order.
        rest: its further keys; pid and host are added when it is told.

    Attributes:
        session, rest: may be changed; `retell` makes the next line say so.
        meta_text: the session's meta as JSON text, masked.
        dropped: how many records could not be kept, by reason, from the beginning.
        waiting: True while something is to be told.
    """

    def __init__(self, session: dict[str, Any], rest: dict[str, Any]) -> None:
        self.session = session
        self.rest = rest
        self.meta_text = "{}"
        self.dropped: dict[str, int] = {}
        self.waiting = True
        self._told = False
        self._untold: dict[str, int] = {}
        self._notices: list[str] = []
        self._said: set[str] = set()

    def retell(self) -> None:
        """Let the next line carry the header."""
        self._told, self.waiting = False, True

    def drop(self, why: str, count: int = 1) -> None:
        """*count* records could not be kept."""
        self.dropped[why] = self.dropped.get(why, 0) + count
        self._untold[why] = self._untold.get(why, 0) + count
        self.waiting = True

    def notice(self, sentence: str) -> None:
        """Something happened to the files that a reader should know."""
        if sentence not in self._notices and len(self._notices) < MOST_NOTICES:
            self._notices.append(sentence)
        self.waiting = True

    def tell(self) -> str:
        """The news as further keys of a line, each behind a comma."""
        news = f',"session":{self.header()}' if not self._told else ""
        if self._notices:
            news += f',"notice":{json.dumps(self._notices)}'
        if self._untold:
            news += f',"dropped":{json.dumps(self._untold)}'
        return news

    def told(self) -> None:
        """The line that carried them is written."""
        self._told, self.waiting = True, False
        self._notices, self._untold = [], {}

    def forget(self) -> None:
        """In a forked child: what is untold is the parent's to tell."""
        self._notices, self._untold = [], {}
        self.retell()

    def header(self) -> str:
        """The session as JSON text, as it is told by this process."""
        rest = {"pid": os.getpid(), "host": alive.host(), **self.rest, "format": FORMAT, "writer": VERSION}
        head, tail = json.dumps(self.session, separators=(",", ":")), json.dumps(rest, separators=(",", ":"))
        return f'{head[:-1]},"meta":{self.meta_text},{tail[1:]}'

    def complain(self, what: str, err: Exception) -> bool:
        """Say on stderr that tracing failed, one line for each kind of trouble; True where it was said now, and is
        to be logged."""
        kind = reason(err)
        if kind in self._said:
            return False
        self._said.add(kind)
        _say(what, err)
        return True


def reason(err: Exception) -> str:
    """Why a record could not be kept: the system's name for it, "ENOSPC", else the error's type."""
    number = getattr(err, "errno", None)
    return errno.errorcode.get(number, type(err).__name__) if number else type(err).__name__


def complain(what: str, err: Exception) -> None:
    """Say on stderr, in one line, that tracing failed, and log it. Not under a lock of ours: see `log`."""
    _say(what, err)
    log(what, err)


def _say(what: str, err: Exception) -> None:
    """A closed or broken stderr does not reach the agent."""
    try:
        if sys.stderr is not None:
            sys.stderr.write(f"ai_trace: {_sentence(what, err)}\n")
    except Exception:
        pass


def log(what: str, err: Exception) -> None:
    """Warn by the logger `ai_trace`, where the app uses `logging`. Never raises.

    Not under a lock of ours: a handler of the app may wait for a thread that records.
    """
    logging = sys.modules.get("logging")  # an app that uses it has imported it
    try:
        if logging is not None:
            logger = logging.getLogger("ai_trace")
            if not logger.handlers:
                logger.addHandler(logging.NullHandler())  # or it would go to stderr a second time
            logger.warning("%s", _sentence(what, err))
    except Exception:
        pass


def _sentence(what: str, err: Exception) -> str:
    return f"{safe.one_line(what)}: {safe.one_line(str(err))}; the agent goes on"
