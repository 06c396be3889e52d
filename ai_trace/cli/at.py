"""`ai-trace at`: what a step saw, where each value came from, how old it was, and what was newer and not
used.

Stale values first, then those linked to earlier steps, then those that are not. How values are matched
is in `sightings.py`, what counts as stale in `provenance.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from .. import folder, safe
from ..outline import NotPlain, Outline, outlined
from ..provenance import Knowledge, Piece
from ..render import details, origins, words
from ..render.ink import Part, Style, paint, wrapped
from . import choose, steps, times
from .output import Output

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from ..session import Session

__all__ = ["HELP", "EXAMPLES", "arguments", "run"]

HELP = "Show what a step knew: where each value came from, how old it was, and what was newer and not used."
EXAMPLES = """
examples:
  ai-trace at last-error                  what the step that failed last saw, in the newest session
  ai-trace at decide#3 20260301           the third 'decide' of a session
  ai-trace at '#12' @-1 --json | jq '.values[] | select(.stale)'

a value is linked to an earlier one by name and value, by value alone where it
says enough (not true, 0 or ""), as a rounded number, or as a part of a text;
--json says why each link was drawn. Keys: step, stale, values[]: path, value,
where, holder, age_s, stale, origin, way[], contains[], read, newer; left_out,
damage: how many places of the session could not be read"""

_NAMES = 12  # new values named by path where their text is not shown


def arguments(parser: ArgumentParser) -> None:
    """The options of `at`."""
    add = parser.add_argument
    add("step", metavar="STEP", help=steps.HELP)
    add("session", nargs="?", metavar="SESSION", help=choose.HELP)
    add("--full", action="store_true", help="show values whole")
    add("--utc", action="store_true", help="times in UTC instead of local time")
    add("--json", action="store_true", help="one JSON document")


def run(args: Namespace, out: Output) -> int:
    """Show and return 0; 1 where there is no such session, or no such step."""
    with choose.picked(args.session, args.dir) as source:
        session, known = _known(source, args.step)
        if args.json:
            out.one_json({**known.to_dict(), "damage": len(session.damage)})
            return 0
        if session.damage:
            places = words.plural(len(session.damage), "damaged place")
            out.message(f"the session has {places} (ai-trace verify {args.session or 'latest'})")
        style = Style(color=out.color, unicode=not out.ascii, width=out.width, full=args.full, utc=args.utc)
        for line in _page(session, known, style):
            out.line(line)
    return 0


def _known(source: folder.Entry | str, word: str) -> tuple[Session | Outline, Knowledge]:
    """The session and what the step knew; of a long one read no more than it takes, where that is enough."""
    entry = folder.entry(source) if isinstance(source, str) else source
    try:
        outline = outlined(entry)
        return outline, outline.at(word)
    except (NotPlain, OSError):
        session = folder.load(entry)
        return session, session.at(steps.pick(session, word))


def _page(session: Session | Outline, known: Knowledge, style: Style) -> Iterator[str]:
    step = known.step
    title = details.title(step, style, state=session.state, now=times.now())
    yield paint([*title, (f"  #{known.number}", "dim")], style)
    around = session.path_to(step)[:-1]
    if around:
        yield paint([(f"  in {words.route(around, _name)}", "dim")], style)
    yield paint([(f"  {origins.summary(known)}", "dim")], style)
    if step.error:
        yield from wrapped(safe.one_line(step.error), "bad", style, indent="  ")
    yield ""
    for piece in (*known.stale, *known.known):
        yield from _told(piece, style)
    yield from _new(known, style)


def _told(piece: Piece, style: Style) -> Iterator[str]:
    """One value: name and value, then its way; what was newer in red."""
    yield paint(_head(piece, style), style)
    yield from wrapped(origins.sentence(piece, _name, _value), "", style, indent="    ")
    if piece.stale:
        yield from wrapped(f"STALE: {origins.newer(piece, _name, _value)}", "bad", style, indent="    ")


def _head(piece: Piece, style: Style) -> list[Part]:
    color = "bad" if piece.stale else "key"
    around = f"  (of {_name(piece.holder.name)}, around it)"
    place = {"log": "  (logged)", "around": around}.get(piece.where, "")
    text = words.spell(piece.value)
    text = safe.terminal(text) if style.full else _value(text, style.width // 2)
    return [("  ", ""), (_name(piece.path), color), (" = ", "dim"), (text, "strong"), (place, "dim")]


def _new(known: Knowledge, style: Style) -> Iterator[str]:
    """Those not linked: what was given in a line each, what the step itself said by names."""
    given = [piece for piece in known.new if piece.where != "log"]
    said = [piece for piece in known.new if piece.where == "log"]
    if given:
        yield paint([("Not linked to an earlier step:", "strong")], style)
        for piece in given:
            yield paint(_head(piece, style), style)
    if said:
        more = f" and {len(said) - _NAMES:,} more" if len(said) > _NAMES and not style.full else ""
        names = ", ".join(_name(piece.path) for piece in (said if style.full else said[:_NAMES]))
        yield from wrapped(f"Said here first: {names}{more}", "dim", style)


def _name(text: str) -> str:
    return safe.one_line(text, 60) or '""'


def _value(text: str, columns: int = 60) -> str:
    return safe.one_line(text, max(columns, 20)) or '""'
