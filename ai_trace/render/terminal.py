"""A session as lines for a terminal: what is it, the tree of its steps, what is damaged. Pure.

Guarantees: no line holds a control character but our own colours; a line is at most as wide as the screen
(unless `full`), wide characters counted; meaning never rests on colour alone; the deepest tree stays
readable, because indentation stops growing at a third of the width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from .. import safe
from ..record import Damage, Record
from ..session import Session
from ..tree import Node, walk
from . import words
from .details import block, details, fields, log_line, title
from .ink import Style, paint, signs, wrapped
from .verdict import remarks, verdict

__all__ = ["Style", "session", "header", "tree", "branches", "damage", "block", "log_line"]

_SHOWN_DAMAGE: Final = 20  # places, unless full


def session(
    shown: Session,
    style: Style,
    *,
    now: float | None = None,
    keep: Callable[[Record], bool] | None = None,
    depth: int | None = None,
) -> Iterator[str]:
    """The whole session: header, tree, damage, with an empty line between."""
    yield from header(shown, style, now=now)
    yield ""
    yield from tree(shown, style, now=now, keep=keep, depth=depth)
    if shown.damage:
        yield ""
        yield from damage(shown.damage, style)


def header(shown: Session, style: Style, *, now: float | None = None) -> Iterator[str]:
    """Who, when, how much, what happened, and what a reader should know about the record itself."""
    dot = signs(style).dot
    name = safe.one_line(shown.agent) or "(no name)"
    color = {"died": "bad", "running": "open"}.get(shown.state, "dim")
    state = safe.one_line(shown.state)
    yield paint([(name, "strong"), (f"  {safe.one_line(shown.id)}", ""), (f"  {state}", color)], style)
    facts = [words.moment(shown.started_at, utc=style.utc, ms=False), words.duration(_span_ms(shown, now))]
    yield paint([(dot.join([*facts, _counts(shown)]), "dim")], style)
    for usage in shown.totals.usage:
        yield paint([(f"{_model(usage.model)}: {_usage(usage.sums, usage.said, usage.steps)}", "dim")], style)
    if shown.meta:
        yield from fields(shown.meta, style)
    said = verdict(shown, _quoted(style), now=now, arrow=signs(style).arrow, utc=style.utc)
    yield from wrapped(said, "strong", style, lines=8)
    for text in remarks(shown):
        yield from wrapped(f"! {safe.one_line(text)}", "warn", style)


def _span_ms(shown: Session, now: float | None) -> float | None:
    """From its first start to its last sign of life; to *now* while it runs, as its open steps are told."""
    if shown.state != "running" or now is None or shown.started_at is None:
        return shown.duration_ms
    return max(now - shown.started_at, 0.0) * 1000


def _counts(shown: Session) -> str:
    totals = shown.totals
    kinds = (
        ("ok", totals.ok), ("failed", totals.errors), ("cancelled", totals.cancelled),
        ("other", totals.other), ("unfinished", totals.unfinished),
    )  # fmt: skip
    parts = ", ".join(f"{count:,} {kind}" for kind, count in kinds if count)
    return words.plural(totals.steps, "step") + (f": {parts}" if parts else "")


def _model(model: str | None) -> str:
    return "model not named" if model is None else safe.one_line(model, 60)


def _usage(sums: dict[str, float], said: dict[str, int], steps: int) -> str:
    """"1,200 input tokens, 80 output tokens, cost $0.0123 (logged by 3 of 10 steps)"."""
    parts = []
    for key, amount in sums.items():
        text = f"cost ${amount:,.4f}" if key == "cost_usd" else f"{amount:,.0f} {key.replace('_', ' ')}"
        parts.append(text + (f" (logged by {said[key]:,} of {steps:,} steps)" if said[key] < steps else ""))
    return ", ".join(parts) or f"tokens and cost unknown ({words.plural(steps, 'step')})"


def tree(
    shown: Session,
    style: Style,
    *,
    now: float | None = None,
    keep: Callable[[Record], bool] | None = None,
    depth: int | None = None,
) -> Iterator[str]:
    """The steps as a tree.

    With *keep* only the steps that it likes, below the bare names of those around them; with *depth* no
    deeper than that many levels.
    """
    wanted, around = _choose(shown, keep)
    roots = [node for node in shown.tree if node in around]
    yield from branches(
        [(node, "", True, False) for node in roots], style, state=shown.state, now=now,
        whole=wanted.__contains__, shown=around.__contains__, depth=depth,
    )  # fmt: skip


def branches(
    places: Iterable[tuple[Node, str, bool, bool]],
    style: Style,
    *,
    state: str,
    now: float | None = None,
    whole: Callable[[Node], bool] = lambda node: True,
    shown: Callable[[Node], bool] = lambda node: True,
    depth: int | None = None,
) -> Iterator[str]:
    """The trees under *places*: each a node, what stands before its lines, whether it is a root, and whether
    a brother follows. All is told of a node that is *whole*; of the others that are *shown*, the name."""
    waiting = list(places)[::-1]
    while waiting:
        node, prefix, root, more = waiting.pop()
        children = [child for child in node.children if shown(child)]
        hidden = bool(children) and depth is not None and node.depth + 1 >= depth
        if hidden:
            children = []
        head, rest = _indent(prefix, root, more, style)
        innermost = not any(child.record.open for child in node.children)
        told = title(node.record, style, state=state, now=now, innermost=innermost)
        yield paint([(head, "dim"), *told], style)
        below = rest + (signs(style).bar if children else "   ")
        if whole(node):
            yield from details(node.record, style, indent=below, repeats=_repeats_a_child(node))
        if hidden:
            inside = words.plural(sum(1 for _ in walk(node.children)), "step")
            yield paint([(below, "dim"), (f"{signs(style).cut} {inside} inside", "dim")], style)
        node.record.shed()
        waiting += [(child, rest, False, child is not children[-1]) for child in reversed(children)]


def _choose(shown: Session, keep: Callable[[Record], bool] | None) -> tuple[set[Node], set[Node]]:
    """The nodes to show with all they hold, and those with the ones around them."""
    if keep is None:
        every = set(shown.walk())
        return every, every
    wanted = set()
    for node in shown.walk():
        if keep(node.record):
            wanted.add(node)
        node.record.shed()
    around = set(wanted)
    for chosen in wanted:
        node_above = chosen.parent
        while node_above is not None and node_above not in around:
            around.add(node_above)
            node_above = node_above.parent
    return wanted, around


def _indent(prefix: str, root: bool, more: bool, style: Style) -> tuple[str, str]:
    """What stands before a step's own line, and before all lines below it."""
    if root:
        return "", ""
    branch = signs(style).fork if more else signs(style).last
    if len(prefix) > style.width // 3:
        return prefix + branch, prefix
    return prefix + branch, prefix + (signs(style).bar if more else "   ")


def _repeats_a_child(node: Node) -> bool:
    """A failure passing upwards brings the same traceback along; it is shown once, at the innermost step."""
    error = node.record.error
    return error is not None and any(child.record.error == error for child in node.children)


def damage(places: Iterable[Damage], style: Style) -> Iterator[str]:
    """A line for each damaged place: file, byte, length, what is wrong."""
    listed = list(places)
    shown = listed if style.full else listed[:_SHOWN_DAMAGE]
    for place in shown:
        line = "" if place.line is None else f", line {place.line:,}"
        where = f"{line}, byte {place.offset:,}, {words.plural(place.length, 'byte')}"
        text = f"! damage in {safe.one_line(place.path)}{where}: {safe.one_line(place.reason)}"
        yield from wrapped(text, "warn", style)
    if len(listed) > len(shown):
        yield paint([(f"{signs(style).cut} {len(listed) - len(shown):,} more (--full)", "dim")], style)


def _quoted(style: Style) -> Callable[[str], str]:
    return lambda text: safe.shorten(safe.one_line(text, 500), 120, signs(style).cut) or '""'
