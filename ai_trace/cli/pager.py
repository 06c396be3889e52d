"""A pager between a command and the terminal, as git and journalctl have it.

Only where standard output is a terminal: the command in PAGER, else `less` (with LESS=FRX unless the user
has set LESS: quit when all fits on the screen, show colours, leave the text behind), else none. A reader who
quits early has read enough: that is success. While the pager runs, Ctrl-C is the pager's.
"""

from __future__ import annotations

import os
import sys
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .output import Output

__all__ = ["Paged"]


class Paged:
    """`with Paged(out, wanted):` what is written to *out* inside goes through the pager."""

    def __init__(self, out: Output, wanted: bool) -> None:
        self._out = out
        self._command = _command() if wanted and out.terminal else None
        self._process: Any = None

    def __enter__(self) -> None:
        if self._command is None:
            return
        import subprocess

        out = self._out
        out.flush()
        environment = {"LESS": "FRX", "LV": "-c", **os.environ}
        if out.encoding.lower().replace("-", "") == "utf8":
            environment.setdefault("LESSCHARSET", "utf-8")
        try:
            self._process = subprocess.Popen(  # PAGER may hold options and quotes, so a shell reads it
                self._command, shell=True, stdin=subprocess.PIPE, env=environment,
                encoding=out.encoding, errors="backslashreplace",
            )  # fmt: skip
        except OSError:
            return
        out.divert(self._process.stdin)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if self._process is None:
            return False
        try:
            self._process.stdin.close()
        except OSError:  # the reader has left
            pass
        self._out.divert(None)
        while True:
            try:
                self._process.wait()
                return kind is not None and issubclass(kind, BrokenPipeError)
            except KeyboardInterrupt:
                pass


def _command() -> str | None:
    """The pager's command line; None for none, or where its program is not there."""
    import shlex
    import shutil

    wish = os.environ.get("PAGER")
    if wish is not None:
        try:
            program = shlex.split(wish, posix=sys.platform != "win32")[0]
        except (ValueError, IndexError):
            return None
        return None if program == "cat" or shutil.which(program.strip('"')) is None else wish
    if os.environ.get("TERM") == "dumb":
        return None
    usual = "more" if sys.platform == "win32" else "less"
    return usual if shutil.which(usual) else None
