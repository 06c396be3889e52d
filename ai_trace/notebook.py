"""Sessions and steps show themselves in a notebook: the report in a frame, a step as a block, both as Markdown too.

IPython and Jupyter look for `_repr_html_` and `_repr_markdown_`. They are given to `Session`, `Record` and `Step`
from here, so that those rooms need to know nothing of rendering; `ai_trace` loads this with the reading side.
"""

from __future__ import annotations

from typing import Any

from .record import Record
from .session import Session
from .step import Step

__all__ = ["record_html", "record_markdown", "session_html", "session_markdown"]

_HEIGHT = 560  # pixels: the first screen of the report


def session_html(session: Session) -> str:
    """The report, in a frame of its own that runs its script and reaches nothing outside."""
    from html import escape

    from .render import html

    page = escape("".join(html.page(session)), quote=True)
    return (
        f'<iframe srcdoc="{page}" sandbox="allow-scripts" title="ai_trace report" '
        f'style="width:100%;height:{_HEIGHT}px;border:0"></iframe>'
    )


def session_markdown(session: Session) -> str:
    """The postmortem."""
    from .render import markdown

    return "\n".join(markdown.lines(session)) + "\n"


def record_html(step: Record | Step) -> str:
    """The step as `ai-trace view` shows it, whole."""
    from html import escape

    return f"<pre>{escape(_block(step))}</pre>"


def record_markdown(step: Record | Step) -> str:
    """The same in a fence that nothing in it can close."""
    from .safe import fence

    return "\n".join(fence(_block(step)))


def _block(step: Record | Step) -> str:
    from .render.terminal import Style, block

    record = step if isinstance(step, Record) else _as_read(step)
    return "\n".join(block(record, Style(color=False, unicode=True, width=110, full=True, utc=True)))


def _as_read(step: Step) -> Record:
    data: dict[str, Any] = step.to_dict()
    return Record.from_data(data, id=step.id, open=not step.ended)


for _kind, _html, _markdown in ((Session, session_html, session_markdown), (Record, record_html, record_markdown),
                                (Step, record_html, record_markdown)):  # fmt: skip
    setattr(_kind, "_repr_html_", _html)
    setattr(_kind, "_repr_markdown_", _markdown)
