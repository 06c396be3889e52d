"""Which steps a person asked for: `--name`, `--errors`, `--grep`, `-i` and `--since` as one question.

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

__all__ = ["Sieve", "arguments"]


def arguments(parser: ArgumentParser) -> None:
    """The options that choose steps."""
    add = parser.add_argument
    add("--name", metavar="GLOB", help="only steps with a name like GLOB, such as 'fetch*'")
    add("--errors", action="store_true", help="only steps that failed")
    add("--grep", type=options.pattern, metavar="RE",
        help="only steps whose name, error or values (as key=value) match RE")  # fmt: skip
    add("-i", "--ignore-case", action="store_true", help="--name and --grep do not mind upper and lower case")
    add("--since", type=options.moment, metavar="TIME", help="only steps that began at TIME or later")


class Sieve:
    """Lets through the steps that fit *args*; `idle` where every step does."""

    def __init__(self, args: Namespace) -> None:
        flags = re.IGNORECASE if args.ignore_case else 0
        self._name = re.compile(fnmatch.translate(args.name), flags) if args.name is not None else None
        self._grep = re.compile(args.grep, flags) if args.grep is not None else None
        self._errors: bool = args.errors
        self._since: float | None = args.since
        self.idle = not (self._name or self._grep or self._errors or self._since is not None)

    def __call__(self, step: Record) -> bool:
        return (
            (not self._errors or step.outcome == "error" or bool(step.error))
            and (self._since is None or (step.started_at is not None and step.started_at >= self._since))
            and (self._name is None or self._name.match(step.name) is not None)
            and (self._grep is None or any(map(self._grep.search, _texts(step))))
        )


def _texts(step: Record) -> Iterator[str]:
    yield step.name
    yield step.error or ""
    trace = step.data.get("traceback")
    yield trace if isinstance(trace, str) else ""
    yield from _leaves("", step.context)
    for entry in step.logs:
        yield from _leaves("", entry)


def _leaves(path: str, value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _leaves(f"{path}.{key}" if path else str(key), part)
    elif isinstance(value, list):
        for part in value:
            yield from _leaves(path, part)
    else:
        yield f"{path}={value if isinstance(value, str) else json_text.compact(value)}"
