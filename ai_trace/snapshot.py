"""A session as one file, `.json`, `.md` or `.html`: at its name there is always one whole version (`whole.py`).

Steps are written one by one, so a session of any length needs no second copy in memory.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from . import clock, whole
from .exceptions import UsageError
from .render import markdown
from .session import Session, step_dict

__all__ = ["FORMS", "write", "to_json", "to_markdown", "to_html"]


def to_json(session: Session, saved_at: str | None = None) -> Iterator[str]:
    """The JSON snapshot in pieces: strict JSON in ASCII, the session's keys, then a line for each step."""
    head = session.head_dict(saved_at if saved_at is not None else _now())
    yield "{\n"
    for key, value in head.items():
        yield f"  {_json(key)}: {_json(value)},\n"
    yield '  "steps": ['
    lead = "\n    "
    for record in session.steps:
        yield lead + _json(step_dict(record))
        record.shed()
        lead = ",\n    "
    yield "\n  ]\n}\n" if session.steps else "]\n}\n"


def to_markdown(session: Session, good: Session | None = None) -> Iterator[str]:
    """The postmortem in pieces; *good* is an earlier run that went well, to compare with."""
    for line in markdown.lines(session, now=clock.active.wall_ns() / 1e9, good=good):
        yield line + "\n"


def to_html(session: Session) -> Iterator[str]:
    """The page in pieces."""
    from .render import html

    yield from html.page(session, now=clock.active.wall_ns() / 1e9)


FORMS: Final[Mapping[str, Callable[[Session], Iterator[str]]]] = MappingProxyType(
    {"json": to_json, "md": to_markdown, "html": to_html}
)
"""Name of a form, which is also its suffix -> session to text."""


def write(session: Session, path: str | os.PathLike[str], form: str, good: Session | None = None) -> str:
    """Write *session* to *path* in *form* ("json", "md" or "html"), whole or not at all; the path where it is now.

    That is *path*, except on Windows where another program holds that file open: there, after half a second,
    it is the same name with ".1" (or the next number) before the suffix.

    Raises:
        UsageError: where *form* is unknown.
        OSError: as the disk said it; the file at *path* is as it was.
    """
    if form not in FORMS:
        raise UsageError(f"There is no snapshot form {form!r}; the forms are {', '.join(FORMS)}.")
    return whole.write(path, to_markdown(session, good) if form == "md" else FORMS[form](session))


def _json(value: Any) -> str:
    import json

    try:
        return json.dumps(value, allow_nan=False)
    except (ValueError, TypeError, RecursionError):  # not from our files; an importer may hand in anything
        from .plain import plain

        return json.dumps(plain(value), allow_nan=False)


def _now() -> str:
    seconds, rest = divmod(clock.active.wall_ns(), 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest // 1000:06d}Z"
