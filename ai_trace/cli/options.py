"""How a command line is taken apart: argparse, with our manners, and the types of its values.

Guarantees: what the user typed is made safe before it comes back in a message; options are never guessed
from their beginnings, so that a new option cannot change what an old script means; a wrong value is a
sentence that shows a right one.
"""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING, Any, NoReturn

from . import times

if TYPE_CHECKING:
    from ..where import Where
    from .output import Output

__all__ = ["Parser", "condition", "count", "moment", "pattern", "natural", "size", "slack", "span"]


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` whose words go out through *out*.

    Attributes:
        intermixed: options may stand between the words of the command, too.
    """

    intermixed = False

    def __init__(self, out: Output, prog: str, description: str, epilog: str) -> None:
        super().__init__(
            prog=prog,
            description=description,
            epilog=epilog.strip("\n"),
            allow_abbrev=False,
            # Told the width, argparse need not import shutil, which costs more than all else of a start.
            formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(
                prog, width=min(out.width, 110) - 2
            ),
        )
        self._out = out

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        if self.intermixed:
            return self.parse_intermixed_args(args, namespace)
        return super().parse_args(args, namespace)

    def _print_message(self, message: str, file: Any = None) -> None:
        """Where argparse prints its help and its version: on standard output, with our care for pipes."""
        if message:
            self._out.write(message)

    def error(self, message: str) -> NoReturn:
        self._out.error_text(self.format_usage())
        self._out.message(f"{message} (see '{self.prog} --help')")
        raise SystemExit(2)


def natural(text: str) -> int:
    """A whole number from 1 up."""
    number = count(text)
    if number == 0:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def count(text: str) -> int:
    """A whole number from 0 up."""
    if not re.fullmatch(r"[0-9]{1,12}", text):
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number, such as 10")
    return int(text)


def slack(text: str) -> float:
    """A number from 0 up, such as 1e-6."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"'{text}' is not a number from 0 up, such as 1e-6")
    return number


def moment(text: str) -> float:
    """A point in time: `10m`, `2h`, `3d` ago, or a date. Seconds since 1970."""
    try:
        return times.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def span(text: str) -> float:
    """A length of time in seconds: `12h`, `30d`."""
    try:
        return times.span(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


_SIZES = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def size(text: str) -> int:
    """A size in bytes: `500MB`, `1.5GiB`, `0`."""
    found = re.fullmatch(r"([0-9]{1,12}(?:\.[0-9]{1,6})?) ?([KMGT]?B|[KMG]iB|)", text, re.IGNORECASE)
    unit = found[2].upper() if found else ""
    if found is None or unit not in _SIZES or ("." in found[1] and unit in ("", "B")):
        raise argparse.ArgumentTypeError(f"'{text}' is no size; write 500MB, 2GB, 1.5GiB, or 0 for no limit")
    return int(float(found[1]) * _SIZES[unit])


def condition(text: str) -> Where:
    """A condition on a step; a wrong one ends the command with a caret below the place."""
    from .. import safe
    from ..where import WhereError, parse
    from .output import Stop

    try:
        return parse(text)
    except WhereError as error:
        before = safe.width(safe.terminal(error.text[: error.at]))
        raise Stop(f"--where: {error.sentence}", 2, rows=[error.text, " " * before + "^"]) from None


def pattern(text: str) -> Any:
    """A regular expression as `re` knows it; case is left to the command."""
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise argparse.ArgumentTypeError(f"'{text}' is not a regular expression: {error}") from None
    return text
