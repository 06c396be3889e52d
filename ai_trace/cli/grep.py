"""`ai-trace grep`: the steps that hold a text, in one, some or all sessions.

PATTERN is a regular expression over the name, the error, the traceback, and each value of context and logs as
`key=value` (a key with dots for what lies deeper). Steps come as they are found, session by session, and memory
holds one at a time. Where PATTERN is plain text, lines without it are passed over unparsed (`search.py`).
"""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .. import folder, reader, safe, search, seek
from ..record import Record
from ..render import details, words
from ..render.ink import Style, paint
from ..session import step_dict
from ..sniff import refusal
from . import choose, options, sieve, times
from .output import BOLD, Output, Stop
from .progress import Progress
from .streams import Stream

if TYPE_CHECKING:
    from argparse import Namespace

__all__ = ["HELP", "EXAMPLES", "arguments", "run"]

HELP = "Find the steps that hold a text: in names, errors, tracebacks, context and logs."
EXAMPLES = """
examples:
  ai-trace grep 'low volume'                 in every session of the folder
  ai-trace grep -i 'timeout|refused' latest
  ai-trace grep --fixed 'price=[1, 2]' --errors --since 1d
  ai-trace grep '' --where 'signal > 0.8'    by a condition alone
  ai-trace grep 'symbol=BTC' --jsonl | jq .step.id

exit code 1 where nothing is found, or where a session cannot be read
values are searched as key=value, such as order.id=17
keys of --json: pattern, steps[] (each a line of --jsonl): session, path, step,
  matches[]: field, text (200 characters around the match)
"""
EXAMPLES += sieve.GRAMMAR

_SHOWN: Final = 3  # matching fields of one step
_AROUND: Final = 100  # characters on each side of a match, for programs


class Match(NamedTuple):
    """A text of a step in which the pattern is found, at `start` to `end`; *field* says where it stands."""

    field: str
    text: str
    start: int
    end: int


class Found(NamedTuple):
    """A step that fits; *state* is that of its session."""

    entry: folder.Entry
    state: str
    step: Record


def arguments(parser: options.Parser) -> None:
    """The options of `grep`."""
    parser.intermixed = True
    add = parser.add_argument
    add("pattern", metavar="PATTERN", help="a regular expression, as Python's re has it; '' fits every step")
    add("sessions", nargs="*", metavar="SESSION",
        help=choose.MANY)  # fmt: skip
    add("-F", "--fixed", action="store_true", help="PATTERN is plain text")
    sieve.arguments(parser, grep=False)
    add("--utc", action="store_true", help="times in UTC instead of local time")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("-c", "--count", action="store_true",
        help="only how many steps: of each session with any, where more than one is searched")  # fmt: skip
    form.add_argument("--json", action="store_true", help="one JSON document")
    form.add_argument("--jsonl", action="store_true", help="a line of JSON for each step")


def run(args: Namespace, out: Output) -> int:
    """Search; 0 where a step was found, else 1; 1 also where something could not be read."""
    hunt = _Hunt(args)
    with ExitStack() as stack:
        chosen: list[Any] = [stack.enter_context(choose.picked(word, args.dir)) for word in args.sessions]
        chosen = chosen or [*choose.entries(args.dir)]
        if not chosen:
            raise Stop(choose.missing(args.dir))
        entries = [folder.entry(one) if isinstance(one, str) else one for one in chosen]
        progress = stack.enter_context(Progress(sum(entry.size for entry in entries)))
        # On a terminal the steps themselves show that it goes on, and would stand in the line of progress.
        hunt.tick = progress.tick if args.count or not out.terminal else None
        found = (one for entry in entries for one in hunt.through(entry))
        total = _write(found, hunt, len(entries), args, out)
    for sentence in hunt.refused:
        out.message(sentence)
    return 0 if total and not hunt.refused else 1


class _Hunt:
    """What is searched for."""

    def __init__(self, args: Namespace) -> None:
        self._pattern = _compiled(args)
        self._needle = search.needle(args.pattern, fixed=args.fixed, ignore_case=args.ignore_case)
        self._keep = sieve.Sieve(args)
        self.tick: Callable[[int], object] | None = None
        self.refused: list[str] = []  # what could not be read, and why

    def through(self, entry: folder.Entry) -> Iterator[Found]:
        """The steps of *entry* that fit, in the order of its files, those not yet ended last."""
        state = entry.state
        try:
            for step in self._steps(entry):
                if self._keep(step) and self._fits(step):
                    yield Found(entry, state, step)
        except FileNotFoundError:
            return  # listed a moment ago, removed since
        except OSError as error:
            self.refused.append(f"{entry.path}: {refusal(error)}")

    def _steps(self, entry: folder.Entry) -> Iterator[Record]:
        """Those that may fit."""
        alone = len(entry.paths) == 1 and not entry.boxes
        if self._needle is None or (alone and reader.snapshot(entry.path) is not None):
            yield from (item for item in Stream(entry, self.tick) if isinstance(item, Record))
            return
        boxes = [reader.read_box(path) for path in entry.boxes]  # before the journals: what ends is met there
        still_open = [step for box in boxes if box is not None for step in box.steps if self._fits(step)]
        journals = [path for path in entry.paths if path not in entry.boxes]
        for path in journals:
            yield from search.steps(path, self._needle, tick=self.tick)
        for step in still_open:
            if not any(one.id == step.id for path in journals for one in seek.with_id(path, step.id)):
                yield step

    def _fits(self, step: Record) -> bool:
        search = self._pattern.search
        return search(step.name) is not None or any(search(text) for _, text in sieve.fields(step))

    def matches(self, step: Record) -> list[Match]:
        """Where in *step* the pattern is found; nowhere, where it fits without standing there."""
        spans = ((field, text, self._pattern.search(text)) for field, text in sieve.fields(step))
        return [Match(field, text, *span.span()) for field, text, span in spans if span is not None and span[0]]


def _compiled(args: Namespace) -> re.Pattern[str]:
    try:
        pattern = re.escape(args.pattern) if args.fixed else options.pattern(args.pattern)
    except ArgumentTypeError as error:
        raise Stop(f"{error}; to search for it as it stands: --fixed", 2) from None
    return re.compile(pattern, re.IGNORECASE if args.ignore_case else 0)


# How it is shown.


def _write(found: Iterator[Found], hunt: _Hunt, sessions: int, args: Namespace, out: Output) -> int:
    """Write what is found; how many steps that were."""
    if args.count:
        return _count(found, sessions, out)
    if args.json or args.jsonl:
        return _for_programs(found, hunt, args, out)
    return _for_people(found, hunt, args, out)


def _count(found: Iterator[Found], sessions: int, out: Output) -> int:
    counts: dict[str, int] = {}
    for one in found:
        counts[one.entry.name] = counts.get(one.entry.name, 0) + 1
    total = sum(counts.values())
    if sessions == 1:
        out.line(str(total))
    else:
        for name, count in counts.items():
            out.line(f"{safe.terminal(name)}:{count}")
    return total


def _for_programs(found: Iterator[Found], hunt: _Hunt, args: Namespace, out: Output) -> int:
    total = 0

    def rows() -> Iterator[dict[str, Any]]:
        nonlocal total
        for one in found:
            total += 1
            matches = [{"field": match.field, "text": _excerpt(match)} for match in hunt.matches(one.step)]
            path = choose.told(one.entry, one.step.path or one.entry.path)
            yield {"session": one.entry.name, "path": path, "step": step_dict(one.step), "matches": matches}

    if args.json:
        out.one_json({"pattern": args.pattern, "steps": rows()})
    else:
        for row in rows():
            out.json_line(row)
    return total


def _excerpt(match: Match) -> str:
    return match.text[max(0, match.start - _AROUND) : min(match.end, match.start + _AROUND) + _AROUND]


def _for_people(found: Iterator[Found], hunt: _Hunt, args: Namespace, out: Output) -> int:
    style = Style(color=out.color, unicode=not out.ascii, width=out.width, utc=args.utc)
    total, last = 0, None
    for one in found:
        if one.entry is not last:
            out.line(("" if last is None else "\n") + out.paint(safe.terminal(one.entry.name), BOLD))
            last = one.entry
        for line in _lines(one, hunt.matches(one.step), style, out.ellipsis):
            out.line(line)
        total += 1
    if not total:
        out.message("no step fits")
    return total


def _lines(one: Found, matches: list[Match], style: Style, ellipsis: str) -> Iterator[str]:
    yield paint(details.title(one.step, style, state=one.state, now=times.now()), style)
    for match in matches[:_SHOWN]:
        yield _shown(match, style, ellipsis)
    if len(matches) > _SHOWN:
        yield paint([(f"    and in {words.plural(len(matches) - _SHOWN, 'more place')}", "dim")], style)


def _shown(match: Match, style: Style, ellipsis: str) -> str:
    """The match in its field, with as much around it as one line holds."""
    label = f"    {match.field}: "
    room = max(style.width - len(label), 20)
    hit = safe.shorten(safe.terminal(match.text[match.start : min(match.end, match.start + room)]), room // 2, ellipsis)
    room -= safe.width(hit)
    before = safe.terminal(match.text[max(0, match.start - room) : match.start])
    after = safe.terminal(match.text[match.end : match.end + room + 1])
    space = max(room // 2, room - safe.width(after))
    if safe.width(before) > space or (match.start > room and before):
        before = _last(before, space - len(ellipsis), ellipsis)
    after = safe.shorten(after, room - safe.width(before), ellipsis)
    return paint([(label, "dim"), (before, ""), (hit, "bad"), (after, "")], style)


def _last(text: str, columns: int, ellipsis: str) -> str:
    """The end of *text*, the cut shown before it."""
    while safe.width(text) > columns:
        text = text[max(1, len(text) - columns) :] if len(text) > columns else text[1:]
    return ellipsis + text
