"""The first screen of a page below its sentence: numbers, where it went wrong, what was open, what stands out. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from ..record import Record
from ..tree import ended_at
from . import blocks, words
from .findings import failures, repeated, slowest
from .html_origins import Origins, told
from .html_places import Page, link, way_down
from .html_steps import error, inflight, knowledge, traceback
from .html_values import fields, line
from .verdict import remarks

__all__ = ["findings", "numbers"]

_KINDS: Final = 20  # of failure, of open steps, of damage
_DECIDED: Final = 3  # steps that decided on old values, and
_DECIDED_ON: Final = 5  # of those values, told at once
_MUCH: Final = 6_000  # characters of HTML; about a screen


def numbers(page: Page) -> Iterator[str]:
    """The totals at a glance; what is nought or unknown is not among them."""
    totals = page.session.totals
    known: list[tuple[str, str, str]] = [("", f"{totals.steps:,}", "steps" if totals.steps != 1 else "step")]
    for word, count, said in (
        ("good", totals.ok, "ok"),
        ("bad", totals.errors, "failed"),
        ("warn", totals.cancelled, "cancelled"),
        ("", totals.other, "other"),
        ("warn", totals.unfinished, "not ended"),
    ):
        if count:
            known.append((word, f"{count:,}", said))
    if totals.avg_duration_ms is not None:
        known.append(("", words.duration(totals.avg_duration_ms), "a step on average"))
    known += [("", text, said) for text, said in _used(page)]
    yield '<ul class="numbers">'
    yield "".join(f'<li class="{word}"><b>{text}</b> {said}</li>' for word, text, said in known)
    yield "</ul>\n"


def _used(page: Page) -> Iterator[tuple[str, str]]:
    """Tokens and cost over all models, as far as they were logged."""
    for name, form, said in (
        ("input_tokens", "{:,.0f}", "tokens in"),
        ("output_tokens", "{:,.0f}", "tokens out"),
        ("cost_usd", "${:,.4f}", "cost"),
    ):
        sums = [used.sums[name] for used in page.session.totals.usage if name in used.sums]
        if sums:
            yield form.format(sum(sums)), said


def findings(page: Page, origins: Origins) -> Iterator[str]:
    """The sections, those without anything to say left out."""
    first, fatal, stopped = page.session.first_error, page.session.fatal_error, page.session.stopped_in
    yield from _stale(page, origins)
    if first is not None:
        yield from _scene(page, origins, "Where it first went wrong", first)
    if fatal is not None and fatal is not first:
        yield from _scene(page, origins, "What ended the run", fatal)
    if stopped is not None:
        yield from _scene(page, origins, "Where it was stopped", stopped, "warn")
    yield from _open(page, origins)
    parts = {
        "all failures": _failures, "slowest steps": _slowest, "most repeated steps": _repeated,
        "tokens and cost": _usage, "metadata": _metadata,
    }  # fmt: skip
    if more := {title: html for title, part in parts.items() if (html := "".join(part(page)))}:
        yield f'<details class="more"><summary><h2>{" · ".join(more).capitalize()}</h2></summary>'
        yield from more.values()
        yield "</details>\n"
    yield from _about_the_record(page)


def _stale(page: Page, origins: Origins) -> Iterator[str]:
    """The steps that used an old value while a newer one was there."""
    found = [known.step for known in origins.decided]
    if not found:
        return
    yield '<section class="scene warn stale"><h2>Decided on old values</h2>\n'
    for record in found[:_DECIDED]:
        pieces = origins.stale(record)
        yield f"<p>{link(page, record)} {way_down(page, record)} at {page.moment(record.started_at)}</p>"
        yield f'<ul class="origins">{"".join(f"<li>{told(page, piece)}</li>" for piece in pieces[:_DECIDED_ON])}'
        if len(pieces) > _DECIDED_ON:
            yield f"<li>… and {words.plural(len(pieces) - _DECIDED_ON, 'more old value')}</li>"
        yield "</ul>\n"
    if len(found) > _DECIDED:
        links = ", ".join(link(page, record) for record in found[_DECIDED : _DECIDED + _KINDS])
        more = " …" if len(found) > _DECIDED + _KINDS else ""
        yield f"<p>… and {words.plural(len(found) - _DECIDED, 'more step')}: {links}{more}</p>\n"
    yield "</section>\n"


def _scene(page: Page, origins: Origins, heading: str, record: Record, mood: str = "bad") -> Iterator[str]:
    """A step that failed or was stopped: the way to it, its error, what was stale, what it saw and said."""
    at = page.moment(ended_at(record))
    yield f'<section class="scene {mood}"><h2>{heading}</h2>\n'
    yield f"<p>{link(page, record)} {way_down(page, record)} at {at}</p>\n{error(record)}\n"
    yield from _whole(page, origins, record)
    yield f"{traceback(record, blocks.WHOLE)}</section>\n"
    record.shed()


def _whole(page: Page, origins: Origins, record: Record) -> Iterator[str]:
    """What a step saw and said; where it is much, folded."""
    known = len(origins.stale(record)) <= _DECIDED_ON  # those stand above, under "decided on old values"
    told_ = "".join(knowledge(page, origins, record, blocks.WHOLE, stale=not known))
    if len(told_) <= _MUCH:
        yield told_ + "\n"
        return
    yield f"<details><summary>what it saw and said</summary>{told_}</details>\n"


def _open(page: Page, origins: Origins) -> Iterator[str]:
    """Every open step that was not only waiting for another one inside it."""
    nodes = [page.session.node(record) for record in page.session.unfinished]
    inner = [node for node in nodes if not any(child.record.open for child in node.children)]
    if not inner:
        return
    headings = {"died": "In flight when it died", "running": "Running now"}
    yield f'<section class="scene warn"><h2>{headings.get(page.session.state, "Never ended")}</h2>\n'
    for node in inner[:_KINDS]:
        yield f"<p>{link(page, node.record)} {way_down(page, node.record)}: {inflight(page, node)}</p>\n"
        yield from _whole(page, origins, node.record)
        node.record.shed()
    if len(inner) > _KINDS:
        yield f"<p>… and {words.plural(len(inner) - _KINDS, 'more open step')}; they are in the list.</p>\n"
    yield "</section>\n"


def _table(heading: str, titles: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """A table from cells that are HTML; a column whose title ends in ":" holds numbers."""
    known = list(titles)
    numeric = [title.endswith(":") for title in known]
    yield f'<h3>{heading}</h3><div class="scroll"><table><thead><tr>'
    yield "".join(_cell("th", title.removesuffix(":"), right) for title, right in zip(known, numeric))
    yield "</tr></thead><tbody>"
    for row in rows:
        yield f"<tr>{''.join(_cell('td', cell, right) for cell, right in zip(row, numeric))}</tr>"
    yield "</tbody></table></div>\n"


def _cell(tag: str, html: str, right: bool) -> str:
    return f"<{tag}{' class=num' if right else ''}>{html}</{tag}>"


def _failures(page: Page) -> Iterator[str]:
    kinds = failures(page.session)
    if len(kinds) < 2 and not (kinds and kinds[0].times > 1):
        return
    rows = (
        (
            f"{one.times:,}",
            line(one.first.name, 60),
            line(one.first.error or "", 200),
            f"{link(page, one.first)} {page.moment(ended_at(one.first))}",
            f"{link(page, one.last)} {page.moment(ended_at(one.last))}",
        )
        for one in kinds[:_KINDS]
    )
    yield from _table("All failures", ("Times:", "Step", "Error", "First", "Last"), rows)
    if len(kinds) > _KINDS:
        yield f"<p>… and {words.plural(len(kinds) - _KINDS, 'more kind')} of failure.</p>\n"


def _slowest(page: Page) -> Iterator[str]:
    found = slowest(page.session)
    if len(found) < 2:
        return
    rows = (
        (
            words.duration(slow.own_ms),
            words.duration(slow.record.duration_ms),
            f"{link(page, slow.record)} {way_down(page, slow.record)}",
        )
        for slow in found
    )
    yield from _table("Slowest steps, by time of their own", ("Own time:", "In all:", "Step"), rows)


def _repeated(page: Page) -> Iterator[str]:
    found = repeated(page.session)
    if not found:
        return
    rows = (
        (f"{one.times:,}", line(one.name, 60), f"{one.errors:,}", words.duration(one.total_ms), f"{one.alike:,}")
        for one in found
    )
    titles = ("Times:", "Step", "Failed:", "In all:", "With one and the same context:")
    yield from _table("Most repeated steps", titles, rows)


def _usage(page: Page) -> Iterator[str]:
    if not page.session.totals.usage:
        return
    names = ("input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens", "cost_usd")
    rows = []
    for used in page.session.totals.usage:
        cells = ["(not named)" if used.model is None else line(used.model, 60), f"{used.steps:,}"]
        for name in names:
            amount = used.sums.get(name)
            text = "?" if amount is None else f"{amount:,.4f}" if name == "cost_usd" else f"{amount:,.0f}"
            part = "" if amount is None or used.said[name] == used.steps else f" (from {used.said[name]:,})"
            cells.append(text + part)
        rows.append(cells)
    titles = ("Model", "Steps:", "Input:", "Cached:", "Output:", "Reasoning:", "Cost (USD):")
    yield from _table("Tokens and cost, as the steps logged them (“?” is unknown, not zero)", titles, rows)


def _metadata(page: Page) -> Iterator[str]:
    if page.session.meta:
        yield f"<h3>Metadata</h3>{fields(page.session.meta, blocks.BRIEF)}\n"


def _about_the_record(page: Page) -> Iterator[str]:
    said = [line(remark, 500) for remark in remarks(page.session)]
    for place in page.session.damage[:_KINDS]:
        at = "" if place.line is None else f"line {place.line:,}, "
        where = f"{at}byte {place.offset:,}, {words.plural(place.length, 'byte')}"
        said.append(f"Damage in <code>{line(place.path)}</code>, {where}: {line(place.reason, 300)}")
    if len(page.session.damage) > _KINDS:
        said.append(f"… and {len(page.session.damage) - _KINDS:,} more damaged places.")
    if said:
        yield '<section class="note"><h2>About this record</h2><ul>'
        yield "".join(f"<li>{text}</li>" for text in said)
        yield "</ul></section>\n"
