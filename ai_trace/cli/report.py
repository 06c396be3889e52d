"""`ai-trace report`: a session as one self-contained HTML page."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from .. import folder, safe, snapshot
from . import choose
from .output import Output, Stop
from .save import refuse

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

__all__ = ["HELP", "EXAMPLES", "arguments", "run"]

HELP = "Write a session as one HTML page to look at, search and mail, and print its path."
EXAMPLES = """
examples:
  ai-trace report                   the newest session, beside its journal
  ai-trace report --open            and open it in the browser
  ai-trace report 20260301 -o run.html
  ai-trace report latest --diff @-1 -o diff.html    the run against the one before it"""


def arguments(parser: ArgumentParser) -> None:
    """The options of `report`."""
    add = parser.add_argument
    add("session", nargs="?", metavar="SESSION", help=choose.HELP)
    add("-o", "--output", metavar="FILE", help="write to FILE, '-' for standard output (default: beside the journal)")
    add("--force", action="store_true", help="let -o overwrite FILE")
    add("--open", action="store_true", help="open the page in the browser")
