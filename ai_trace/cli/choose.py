"""Which session a person means: a word of the command line -> an entry of the trace folder, or a file.

The rule, the first that fits: nothing or `latest` is the newest session, `@-1` the one before it, `@-2` the
one before that (as `HEAD~1` counts in git) · a path, or a file's name here or in the trace folder · the exact
id or name of a session · the beginning of just one session's id or name · any other file.
Names are compared as text: what the user typed is never a pattern. Where several sessions fit they are
listed, where none fits the nearest names are, and both end with exit code 1.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from .. import folder
from ..exceptions import NotATrace
from . import times
from .output import Stop

if TYPE_CHECKING:
    from ..session import Session

__all__ = ["HELP", "MANY", "STORED", "choose", "entries", "missing", "picked", "told"]

_NAMED: Final = "a session: the beginning of its id or name, a file, 'latest'{}, '@-1' (the one before the latest)"
STORED: Final = _NAMED.format("")  # where standard input is no session
HELP: Final = f"{_NAMED.format(' (the default)')}, or '-' for standard input"
MANY: Final = f"{STORED}, or '-' for standard input; without one: every session of the folder"
_SUFFIXES: Final = (".jsonl", ".jsonl.gz", ".json", ".live")
_SHOWN: Final = 10  # candidates in a message
_INPUT: Final = "standard input"


class _Input(folder.Entry):
    """A copy of standard input: what is told of it does not name the copy, which nobody will find."""

    def load(self, *, check: bool = True) -> Session:
        session = super().load(check=check)
        session.damage = [one._replace(path=_INPUT) for one in session.damage]
        return session


def told(entry: folder.Entry, path: str) -> str:
    """What to call *path*, a file of *entry*."""
    return _INPUT if isinstance(entry, _Input) else path


def entries(trace_dir: str) -> list[folder.Entry]:
    """The sessions of *trace_dir*, newest first; [] where it does not exist."""
    if os.path.exists(trace_dir) and not os.path.isdir(trace_dir):
        raise Stop(f"{trace_dir} is a file, not a folder; to see one file: ai-trace view {trace_dir}")
    return list(folder.sessions(trace_dir)) if os.path.isdir(trace_dir) else []


@contextmanager
def picked(word: str | None, trace_dir: str) -> Iterator[folder.Entry | str]:
    """As `choose`, and for "-" a copy of standard input that lives as long as the block."""
    if word != "-":
        yield choose(word, trace_dir)
        return
    import shutil
    import tempfile

    if sys.stdin is None:
        raise Stop("standard input is closed")
    with tempfile.TemporaryDirectory(prefix="ai-trace-") as place:
        path = os.path.join(place, "stdin.jsonl")
        with open(path, "xb") as copy:
            shutil.copyfileobj(sys.stdin.buffer, copy)
        try:
            yield _Input([folder.alone(path)])
        except NotATrace as error:
            raise NotATrace(_INPUT if error.path == path else error.path, error.reason) from error


def choose(word: str | None, trace_dir: str) -> folder.Entry | str:
    """The one session that *word* means: its entry in *trace_dir*, or the path of a file."""
    if word in (None, "", "latest", "@", "@0"):
        return _back(0, trace_dir)
    assert word is not None
    found = re.fullmatch(r"@-([0-9]{1,9})", word)
    if found:
        return _back(int(found[1]), trace_dir)
    path = _file(word, trace_dir)
    if path is not None and (os.sep in word or "/" in word or word.endswith(_SUFFIXES)):
        return path
    known = entries(trace_dir)
    fit = [entry for entry in known if word in (entry.id, entry.name)]
    fit = fit or [entry for entry in known if entry.id.startswith(word) or entry.name.startswith(word)]
    if len(fit) == 1:
        return fit[0]
    if fit:
        raise Stop(f"'{word}' is the beginning of {len(fit)} sessions:", rows=_listed(fit))
    if path is not None:
        return path
    if os.path.isdir(word):
        raise Stop(_is_folder(word))
    if not known:
        raise Stop(f"no session '{word}': {missing(trace_dir)}")
    raise Stop(f"no session '{word}' in {trace_dir}. The nearest:", rows=_listed(_nearest(word, known)))


def _back(steps: int, trace_dir: str) -> folder.Entry:
    known = entries(trace_dir)
    if not known:
        raise Stop(missing(trace_dir))
    if steps >= len(known):
        raise Stop(f"there is no session @-{steps}: {trace_dir} holds {_sessions(len(known))}")
    return known[steps]


def missing(trace_dir: str) -> str:
    """Why there is no session to show."""
    if not os.path.isdir(trace_dir):
        return f"there is no folder {trace_dir} here; name another with --dir DIR or AI_TRACE_DIR"
    return f"there is no session in {trace_dir}"


def _file(word: str, trace_dir: str) -> str | None:
    if "\0" in word:
        return None
    for path in (word, os.path.join(trace_dir, word)):
        if os.path.isdir(path) and os.sep in word:
            raise Stop(_is_folder(path))
        if os.path.exists(path) and not os.path.isdir(path):
            return path
    return None


def _is_folder(path: str) -> str:
    return f"{path} is a folder; to see its newest session: ai-trace --dir {path} view"


def _nearest(word: str, known: Sequence[folder.Entry]) -> list[folder.Entry]:
    """Those that hold *word*, else those spelled like it, else the newest."""
    holding = [entry for entry in known if word.lower() in entry.name.lower()]
    if holding:
        return holding
    from difflib import get_close_matches

    names = {name: entry for entry in reversed(known[:1000]) for name in (entry.agent, entry.id, entry.name)}
    near = get_close_matches(word, names, n=5, cutoff=0.6)
    unique = {names[name].name: names[name] for name in near}
    return list(unique.values()) or list(known[:3])


def _listed(some: Sequence[folder.Entry]) -> list[str]:
    now = times.now()
    rows = [f"{entry.name}  ({entry.state}, {times.ago(entry.started_at, now)})" for entry in some[:_SHOWN]]
    if len(some) > _SHOWN:
        rows.append(f"and {len(some) - _SHOWN} more")
    return rows


def _sessions(count: int) -> str:
    return f"{count} session" if count == 1 else f"{count} sessions"
