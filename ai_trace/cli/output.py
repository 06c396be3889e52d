"""Where a command's words go: standard output for data, standard error for messages.

Guarantees: a stream that cannot carry a character shows an escape or an ASCII sign instead of failing
(Windows code pages, `PYTHONIOENCODING=ascii`); JSON is strict (RFC 8259), ASCII and never coloured; colours
appear only where they are wanted (`--color`, NO_COLOR, FORCE_COLOR, TERM); a full disk behind standard output
is a sentence and exit code 1; a reader that went away is silence and exit code 141.
"""

from __future__ import annotations

import errno
import os
import select
import stat
import sys
import time
from collections.abc import Iterable
from typing import Any, Final, TextIO

from .. import safe
from . import json_text

__all__ = ["Output", "Stop", "BOLD", "DIM", "RED", "GREEN", "YELLOW", "CYAN"]

BOLD: Final = "1"
DIM: Final = "2"
RED: Final = "31"
GREEN: Final = "32"
YELLOW: Final = "33"
CYAN: Final = "36"

_RESET: Final = "\x1b[0m"
_SIGNS: Final = "…●✔✘─│└├·"
_WIDTH_UNKNOWN: Final = 100  # columns where no terminal says how many it has


class Stop(Exception):
    """The end of a command: a sentence for standard error, perhaps with *rows* below it, and an exit code."""

    def __init__(self, sentence: str, code: int = 1, *, rows: Iterable[str] = ()) -> None:
        super().__init__(sentence)
        self.code = code
        self.rows = tuple(rows)


class Output:
    """The streams of this process as a command sees them.

    Attributes:
        terminal: whether standard output is a terminal.
        color: whether to colour; settled by `choose_color`.
        ascii: whether standard output can carry only ASCII signs.
        width: its columns.
    """

    def __init__(self) -> None:
        self._before = [(stream, getattr(stream, "errors", None)) for stream in (sys.stdout, sys.stderr)]
        self._stdout: TextIO | None = _lenient(sys.stdout)
        self._stderr: TextIO | None = _lenient(sys.stderr)
        self.terminal = _is_terminal(self._stdout)
        self.ascii = not _carries(self._stdout, _SIGNS)
        self.width = _columns(self._stdout, self.terminal)
        self.color = False
        self._failed = False
        self._diverted: TextIO | None = None
        self._watch = _watch(self._stdout)

    def choose_color(self, choice: str) -> None:
        """Settle colours by the option, then NO_COLOR, FORCE_COLOR, TERM, then by what standard output is."""
        self.color = choice == "always" or (choice == "auto" and _wants_color(self.terminal))
        if self.color and self.terminal:
            _enable_escapes()

    def paint(self, text: str, *styles: str) -> str:
        """*text* in the colours *styles*, or as it is."""
        return f"\x1b[{';'.join(styles)}m{text}{_RESET}" if self.color and styles and text else text

    @property
    def encoding(self) -> str:
        return getattr(self._stdout, "encoding", None) or "utf-8"

    def give_back(self) -> None:
        """The streams as they were found, for a program that is run here: what becomes of them is no longer ours."""
        for stream, errors in self._before:
            if stream is not None and errors is not None and hasattr(stream, "reconfigure"):
                stream.reconfigure(errors=errors)
        self._stdout = None

    def divert(self, stream: TextIO | None) -> None:
        """From now on write to *stream* (a pager); None: to standard output again."""
        self._diverted = stream

    @property
    def ellipsis(self) -> str:
        return "..." if self.ascii else "…"

    def write(self, text: str) -> None:
        """Write *text* as it is; it must be safe already."""
        stream = self._diverted or self._stdout
        if stream is None:
            raise Stop("standard output is closed")
        try:
            stream.write(text)
        except (OSError, ValueError) as error:
            raise self._broken(error) from None

    def line(self, text: str = "") -> None:
        self.write(text + "\n")

    def flush(self) -> None:
        """Hand everything written to the system; trouble with that is known here and not at exit."""
        stream = self._diverted or self._stdout
        if stream is None:
            return
        try:
            stream.flush()
        except (OSError, ValueError) as error:
            raise self._broken(error) from None

    def _broken(self, error: Exception) -> Exception:
        self._failed = self._diverted is None
        gone = isinstance(error, BrokenPipeError) or (
            # On Windows a pipe without a reader says so.
            sys.platform == "win32" and isinstance(error, OSError) and error.errno == errno.EINVAL
        )
        if gone:
            return BrokenPipeError()
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return Stop(f"cannot write to standard output: {reason}")

    def one_json(self, value: Any) -> None:
        """Write *value* as one JSON document."""
        for piece in json_text.document(value):
            self.write(piece)

    def json_line(self, value: Any) -> None:
        """Write *value* as one line of JSON."""
        self.write(json_text.compact(value) + "\n")

    def message(self, text: str, rows: Iterable[str] = ()) -> None:
        """A sentence for the person, on standard error, and *rows* below it, each made one safe line."""
        lines = [f"ai-trace: {safe.terminal(text)}", *(f"  {safe.terminal(row)}" for row in rows)]
        self.error_text("\n".join(lines) + "\n")

    def error_text(self, text: str) -> None:
        """*text* as it is on standard error, after all that was written before; never fails."""
        if self._stderr is None:
            return
        try:
            if self._stdout is not None and not self._failed:
                self._stdout.flush()  # the two streams often share one terminal
        except (OSError, ValueError):
            self._failed = True
        try:
            self._stderr.write(text)
            self._stderr.flush()
        except (OSError, ValueError):
            pass

    def wait(self, seconds: float) -> None:
        """Sleep; where standard output is a pipe, until its reader leaves: then raise `BrokenPipeError`."""
        if self._watch is None:
            time.sleep(seconds)
        elif self._watch.poll(seconds * 1000):
            self._failed = True
            raise BrokenPipeError()

    def reset(self) -> None:
        """After Ctrl-C in the middle of a line: colours off, and whatever was written on its way."""
        try:
            if self._stdout is not None:
                self._stdout.write(_RESET if self.color else "")
                self._stdout.flush()
        except (OSError, ValueError):
            self._failed = True

    def detach(self) -> None:
        """Leave nothing for the interpreter to trip over when it flushes standard output at exit."""
        if not self._failed:
            try:
                if self._stdout is not None:
                    self._stdout.flush()
                return
            except (OSError, ValueError):
                pass
        try:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stdout.fileno())  # type: ignore[union-attr]
            os.close(nowhere)
        except (OSError, ValueError, AttributeError):
            pass


def _lenient(stream: Any) -> Any:
    """*stream*, from now on without a character that it refuses."""
    if stream is not None and hasattr(stream, "reconfigure"):
        try:
            stream.reconfigure(errors="backslashreplace")
        except (OSError, ValueError):
            pass
    return stream


def _is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        return False


def _watch(stream: TextIO | None) -> Any:
    """What tells that nobody reads the pipe *stream* any more; None where it is no pipe."""
    try:
        fd = stream.fileno()  # type: ignore[union-attr]
        if stat.S_ISFIFO(os.fstat(fd).st_mode) and hasattr(select, "poll"):
            watch = select.poll()
            watch.register(fd, 0)  # errors and hang-ups are always told
            return watch
    except (OSError, ValueError, AttributeError):
        pass
    return None


def _carries(stream: TextIO | None, signs: str) -> bool:
    try:
        signs.encode(getattr(stream, "encoding", None) or "utf-8")
        return True
    except (UnicodeError, LookupError):
        return False


def _columns(stream: TextIO | None, terminal: bool) -> int:
    told = os.environ.get("COLUMNS", "")
    if told.isdigit() and 0 < int(told) < 10_000:
        return int(told)
    try:
        columns = os.get_terminal_size(stream.fileno()).columns if terminal and stream is not None else 0
        return columns or _WIDTH_UNKNOWN
    except (OSError, ValueError):
        return _WIDTH_UNKNOWN


def _wants_color(terminal: bool) -> bool:
    """https://no-color.org and https://force-color.org: a variable counts when it is not empty."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR", "0") not in ("", "0"):
        return True
    return terminal and os.environ.get("TERM") != "dumb"


def _enable_escapes() -> None:
    """A Windows console acts on escapes only when asked to (ENABLE_VIRTUAL_TERMINAL_PROCESSING)."""
    if sys.platform == "win32":
        import ctypes

        kernel = ctypes.windll.kernel32
        handle, mode = kernel.GetStdHandle(-11), ctypes.c_ulong()
        if kernel.GetConsoleMode(handle, ctypes.byref(mode)):
            kernel.SetConsoleMode(handle, mode.value | 4)
