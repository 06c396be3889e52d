"""Which steps a person asked for: `--name`, `--errors`, `--grep`, `-i`, `--since` and `--where` as one question.

`--grep` looks at what the agent said: the name, the error, the traceback, and each value of context and logs
as `key=value`, its key with dots for what lies deeper (`order.id=17`).
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from . import json_text, options

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from ..record import Record
    from ..where import Where

__all__ = ["GRAMMAR", "Sieve", "arguments", "fields", "where"]

GRAMMAR = """
--where takes a condition: signal > 0.8, context.symbol == "BTCUSDT", not error,
  logs.reason ~ "low|thin" and (name in ("a", "b") or step.duration_ms >= 1000);
  a name is looked for in the step's own fields, its context and its logs (behind
  step., context. or logs. in that alone); of many values one that fits is enough
"""


def arguments(parser: ArgumentParser, *, grep: bool = True) -> None:
    """The options that choose steps; without *grep* for a command that has a pattern of its own."""
    add = parser.add_argument
    add("--name", metavar="GLOB", help="only steps with a name like GLOB, such as 'fetch*'")
    add("--errors", action="store_true", help="only steps that failed")
    if grep:
        add("--grep", type=options.pattern, metavar="RE",
            help="only steps whose name, error or values (as key=value) match RE")  # fmt: skip
    else:
        parser.set_defaults(grep=None)
    own = "--grep" if grep else "PATTERN"
    add("-i", "--ignore-case", action="store_true", help=f"--name and {own} do not mind upper and lower case")
    add("--since", type=options.moment, metavar="TIME", help="only steps that began at TIME or later")
    where(parser, "only steps that")


def where(parser: ArgumentParser, what: str) -> None:
    """The option `--where`, which chooses *what* "fit a condition"."""
    parser.add_argument("--where", type=options.condition, metavar="COND", help=f"{what} fit COND: see below")


class Sieve:
    """Lets through the steps that fit *args*; `idle` where every step does."""

    def __init__(self, args: Namespace) -> None:
        flags = re.IGNORECASE if args.ignore_case else 0
        self._name = re.compile(fnmatch.translate(args.name), flags) if args.name is not None else None
        self._grep = re.compile(args.grep, flags) if args.grep is not None else None
        self._errors: bool = args.errors
        self._since: float | None = args.since
        self._where: Where | None = args.where
        self.idle = not (self._name or self._grep or self._errors or self._since is not None or self._where)

    def __call__(self, step: Record) -> bool:
        return (
            (not self._errors or step.outcome == "error" or bool(step.error))
            and (self._since is None or (step.started_at is not None and step.started_at >= self._since))
            and (self._name is None or self._name.match(step.name) is not None)
            and (self._where is None or self._where.matches(step))
            and (self._grep is None or any(self._grep.search(text) for _, text in fields(step)))
        )


def fields(step: Record) -> Iterator[tuple[str, str]]:
    """(where it stands, text) of all that a search looks at; what stands in context and logs as `key=value`."""
    yield "name", step.name
    yield "error", step.error or ""
    yield "traceback", step.traceback or ""
    yield from (("context", text) for text in _leaves("", step.context))
    for entry in step.logs:
        yield from (("logs", text) for text in _leaves("", entry))


def _leaves(path: str, value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _leaves(f"{path}.{key}" if path else str(key), part)
    elif isinstance(value, list):
        for part in value:
            yield from _leaves(path, part)
    else:
        yield f"{path}={value if isinstance(value, str) else json_text.compact(value)}"
