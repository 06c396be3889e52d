"""Nothing that a trace holds can act on the terminal, the page or the table it is shown in.

A trace holds what strangers wrote: web pages, model answers, tool output. Terminals obey escape sequences in
text, and tools that print logs have been caught again and again: nginx (CVE-2009-4487, request lines with
escapes in its log), Rack (CVE-2022-30123, a shell escape in its request log), kubectl (CVE-2021-25743,
escapes in events and pod data).
"""

from __future__ import annotations

import unicodedata

import pytest

from ai_trace import safe
from tests.records import seeded

BIDI = {*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C}
ZERO_WIDTH = {0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF, 0x00AD, 0x034F, 0x180E}
BLANK = {0x3164, 0xFFA0, 0x115F, 0x1160, 0x2800}
TAGS = {*range(0xE0000, 0xE0080), *range(0xE0100, 0xE01F0), *range(0xFE00, 0xFE10)}
HIDING = BIDI | ZERO_WIDTH | BLANK | TAGS
FORBIDDEN_KINDS = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def _forbidden(ch: str) -> bool:
    return unicodedata.category(ch) in FORBIDDEN_KINDS or ord(ch) in HIDING


@pytest.mark.parametrize("keep", ["", "\n\t"], ids=ascii)
def test_no_code_point_passes_that_acts_or_hides(keep: str) -> None:
    """Every code point there is goes in; none that moves, reorders, hides or is not assigned comes out."""
    for start in range(0, 0x110000, 4096):
        shown = safe.terminal("".join(map(chr, range(start, start + 4096))), keep)
        bad = {ch for ch in set(shown) - set(keep) if _forbidden(ch)}
        assert not bad, ascii(bad)


def test_what_is_refused_is_seen() -> None:
    """A refused character is shown by its number, so that a person knows it was there."""
    odd = 0x7F, 0x85, 0x9B, 0xD800, 0xE000, 0xE0041, 0x10FFFF
    for point in (*range(0x20), *odd, *BIDI, *ZERO_WIDTH, *BLANK):
        shown = safe.terminal(f"a{chr(point)}b")
        assert shown[0] == "a" and shown[1] == "\\" and shown[-1] == "b", ascii(shown)


def test_ordinary_text_of_every_script_is_left_alone() -> None:
    """Letters, accents, emoji, ideographs and the spaces of typography are not touched."""
    text = "Ünïcödé, 日本語、한국어, العربية, हिन्दी, 🤖🚀, e\u0301, 1\u00a0000\u2009kg, C:\\temp"

    assert text == safe.terminal(text)


def test_newline_and_tab_pass_only_by_choice() -> None:
    """One line stays one line unless the caller can show several."""
    assert "a\\nb\\tc\\r\\nd" == safe.terminal("a\nb\tc\r\nd")
    assert "a\nb\tc\nd\\re" == safe.terminal("a\nb\tc\r\nd\re", keep="\n\t")


@pytest.mark.parametrize(
    "text, columns, expected",
    [
        ("abc", 3, "abc"), ("abcd", 3, "ab…"), ("日本語", 6, "日本語"), ("日本語", 5, "日本…"), ("日本語", 4, "日…"),
        ("e\u0301e\u0301e\u0301", 3, "e\u0301e\u0301e\u0301"), ("abc", 1, "…"),
        ("abc", 0, ""), ("", 0, ""), ("🤖🤖", 3, "🤖…"),
    ],
)  # fmt: skip
def test_a_shortened_text_fits_and_shows_its_cut(text: str, columns: int, expected: str) -> None:
    """Wide characters count two columns, accents none; the sign of the cut is part of the width."""
    assert expected == safe.shorten(text, columns)
    assert safe.width(safe.shorten(text, columns)) <= columns


def test_shortening_stays_within_any_width() -> None:
    """Any mixture of wide, narrow and combining characters fits the columns it is given."""
    random = seeded()
    for _ in range(3_000):
        text = "".join(random.choice("ab日本e\u0301🤖 é") for _ in range(random.randrange(40)))
        columns = random.randrange(30)
        assert safe.width(safe.shorten(text, columns)) <= columns
        assert safe.width(safe.one_line(text, columns)) <= columns


def test_a_letter_under_a_tower_of_accents_is_cut() -> None:
    """Text of no width at all cannot grow without bound."""
    assert len(safe.shorten("e" + "\u0301" * 100_000, 10)) < 200


@pytest.mark.parametrize(
    "text, expected",
    [
        ("# head", "\\# head"), ("> quote", "\\> quote"), ("- item", "\\- item"), ("12. item", "12\\. item"),
        ("a*b* [x](y) `c`", "a\\*b\\* \\[x\\](y) \\`c\\`"), ("<script>&amp;", "&lt;script>&amp;amp;"),
        ("a|b", "a\\|b"), ("snake_case", "snake_case"), ("_emphasis_", "\\_emphasis\\_"), ("a\nb", r"a\\nb"),
    ],
)  # fmt: skip
def test_inline_markdown_shows_the_text_itself(text: str, expected: str) -> None:
    """What Markdown would take as its own is escaped; what it would not is left readable."""
    assert expected == safe.markdown(text)


SPANS = ["", " ", "`", "``", "a`b``c```d", "a|b", "\n", "\x1b]0;x\x07", "`" * 50, "a\\", "<b>"]


@pytest.mark.parametrize("text", SPANS)
def test_a_code_span_holds_any_text(text: str) -> None:
    """The span is closed by its own ticks alone, and a table cell holds no bar."""
    shown, cell = safe.code(text), safe.code(text, table=True)

    assert "\n" not in shown and "|" not in cell
    if text.strip():
        ticks = shown[: len(shown) - len(shown.lstrip("`"))]
        inside = shown[len(ticks) : -len(ticks)]
        assert ticks not in inside.split(" ") and shown.endswith(ticks)


def test_a_fence_is_longer_than_any_inside() -> None:
    """No line of the text can close the block it stands in."""
    first, *body, last = safe.fence("```\n````` x\n~~~\n\x1b[2J\r\nend\n", "text")

    assert "``````text" == first and "``````" == last
    assert ["```", "````` x", "~~~", "\\x1b[2J", "end"] == body
