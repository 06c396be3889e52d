"""A session or a step as the last line of a notebook's cell shows itself."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest

import ai_trace

HOSTILE = "</iframe></pre><script>alert(1)</script>\n```\n# heading"


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.append(tag)


def _tags(html: str) -> list[str]:
    parser = Tags()
    parser.feed(html)
    return parser.seen


@pytest.fixture
def tracer(tmp_path: Path) -> ai_trace.Tracer:
    with ai_trace.Tracer("agent", tmp_path) as made:
        with made.step("decide", prompt=HOSTILE) as step:
            step.log(answer=HOSTILE)
    return made


def test_a_session_shows_its_report_in_a_frame(tracer: ai_trace.Tracer) -> None:
    """One sandboxed frame holds the page; nothing recorded gets out of it."""
    shown = ai_trace.load(tracer.path)
    html = shown._repr_html_()  # type: ignore[attr-defined]
    assert ["iframe"] == _tags(html) and 'sandbox="allow-scripts"' in html
    rows = shown._repr_markdown_().splitlines()  # type: ignore[attr-defined]
    assert rows[0].startswith("# Trace: agent") and "" in rows and any(row.startswith("## ") for row in rows)


def test_a_step_shows_what_it_saw(tracer: ai_trace.Tracer) -> None:
    """As it was read and as it was recorded: name and values, and no markup of theirs."""
    read, written = ai_trace.load(tracer.path).steps[0], tracer.steps[0]
    for step in (read, written):
        html = step._repr_html_()  # type: ignore[union-attr]
        assert ["pre"] == _tags(html) and "decide" in html and "alert(1)" in html
        assert "\n# heading" not in step._repr_markdown_()  # type: ignore[union-attr]
