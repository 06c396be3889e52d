"""One text made safe for the place where it is shown: a terminal, Markdown, a file name. Pure.

A trace holds what an agent read, and so what a stranger wrote. Guarantees:

- `terminal`: the result cannot move the cursor, colour, ring, set a title, reorder or hide text. What could
  is shown as an escape (`\\x1b`, `\\u202e`), so a person sees that it was there.
- `markdown`, `code`, `fence`: the result adds no heading, table cell, link, HTML or fence of its own.
- `file_name`: one name inside the folder it is used in, at most 100 bytes, on every system.

Backslashes of the text itself stay single, so `C:\\temp` and regular expressions read as they were; the
original text is in the data for whoever must tell an escape from its spelling.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Final

from .patterns import Late

__all__ = ["terminal", "one_line", "width", "shorten", "markdown", "code", "fence", "file_name"]

ELLIPSIS: Final = "…"

# Letters, marks and symbols that draw nothing: a hidden message survives in them (Unicode 16,
# DerivedCoreProperties.txt, Default_Ignorable_Code_Point, minus the categories that `isprintable` refuses).
_BLANK: Final = Late(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
# U+FE0F after a pictograph only asks for its coloured form.
_EMOJI_STYLE: Final = Late("(?<=[\u2190-\u3299\U0001f000-\U0001faff])\ufe0f")
_SHORT: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_CACHE_SIZE: Final = 4096  # code points; a text in one script has a few hundred


class _Shown(dict[int, str]):
    """Code point -> what a terminal may print for it, worked out when first met (for `str.translate`)."""

    def __init__(self, keep: str) -> None:
        super().__init__({ord(ch): ch for ch in keep})

    def __missing__(self, point: int) -> str:
        shown = _shown(chr(point))
        if len(self) < _CACHE_SIZE:
            self[point] = shown
        return shown


def _shown(ch: str) -> str:
    # `isprintable` refuses controls, formats, surrogates, private and unassigned ones, and spaces but " ".
    if ch.isprintable() and not _BLANK.match(ch):
        return ch
    if ch.isspace() and ch not in "\u2028\u2029" and ord(ch) > 0x9F:
        return ch
    point = ord(ch)
    if ch in _SHORT:
        return _SHORT[ch]
    if point <= 0xFF:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point <= 0xFFFF else f"\\U{point:08x}"


_TABLES: Final = {keep: _Shown(keep) for keep in ("", "\n", "\t", "\n\t")}


def terminal(text: str, keep: str = "") -> str:
    """*text* with all that a terminal would act on, or not show, as visible escapes.

    *keep* names the characters of "\\n\\t" that pass as they are; with "\\n" kept, "\\r\\n" is a newline.
    """
    if text.isascii() and text.isprintable():
        return text
    if "\n" in keep:
        text = text.replace("\r\n", "\n")
    if "\ufe0f" in text:
        text = _EMOJI_STYLE.sub("", text)
    return text.translate(_TABLES[keep])


def one_line(text: str, columns: int | None = None) -> str:
    """*text* as one safe line, runs of white space as single spaces, shortened to *columns* where given."""
    if columns is not None:
        text = text[: columns * 4 + 64]  # enough for any cut that follows; a 16 MiB prompt costs nothing here
    line = terminal(" ".join(text.split()))
    return line if columns is None else shorten(line, columns)


def width(text: str) -> int:
    """Columns that *text* takes on a terminal: 2 for wide (East Asian, emoji), 0 for combining characters."""
    if text.isascii():
        return len(text)
    return sum(map(_columns, text))


def _columns(ch: str) -> int:
    if ch < "\u0300":
        return 1
    import unicodedata

    if unicodedata.category(ch) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(ch) in "WF" else 1


def shorten(text: str, columns: int, sign: str = ELLIPSIS) -> str:
    """*text* cut to at most *columns*, the cut shown by *sign* at the end; as it is where it fits."""
    if len(text) <= columns and (text.isascii() or width(text) <= columns):
        return text
    room = columns - width(sign)
    if room < 0:
        return sign[: max(columns, 0)]
    if text.isascii():
        return text[:room] + sign
    used = 0
    for at, ch in enumerate(text):
        used += _columns(ch)
        if used > columns or at >= columns * 8:  # no more than eight marks on one letter
            return _cut(text, room) + sign
    return text


def _cut(text: str, room: int) -> str:
    used = 0
    for at, ch in enumerate(text):
        used += _columns(ch)
        if used > room or at >= (room + 1) * 8:
            return text[:at]
    return text


# Markdown: CommonMark 0.31 with the tables, strikethrough and mathematics of GitHub.
_INLINE: Final = Late(r"[\\`*\[\]{}~$|]|(?<![^\W_])_|_(?![^\W_])|(?:^|(?<=\s))#+|!(?=\[)")
_LEADING: Final = Late(r"^([-+>=]|\d{1,9}(?=[.)]))")
_BACKTICKS: Final = Late("`+")


def markdown(text: str) -> str:
    """*text* as plain inline Markdown, one line: shown as it is, whatever Markdown means by its signs."""
    line = terminal(text.strip()).replace("&", "&amp;").replace("<", "&lt;")
    line = _INLINE.sub(lambda found: "".join("\\" + ch for ch in found[0]), line)
    return str(_LEADING.sub(_escape_leading, line))


def _escape_leading(found: re.Match[str]) -> str:
    return found[0] + "\\" if found[0].isdigit() else "\\" + found[0]


def code(text: str, *, table: bool = False) -> str:
    """*text* as a code span on one line; in a *table* cell "|" becomes "\\x7c".

    Renderers disagree about a pipe after a backslash inside code, so there none is left to disagree about.
    """
    line = terminal(text)
    if not line.strip():
        return "(empty)" if not line else "(blank)"
    ticks = "`" * (_longest_run(line) + 1)
    if table:
        line = line.replace("|", "\\x7c")
    edge = " " if line[0] in "` " or line[-1] in "` " else ""
    return f"{ticks}{edge}{line}{edge}{ticks}"


def fence(text: str, info: str = "") -> Iterator[str]:
    """The lines of a fenced block holding *text*; the fence is longer than any run of backticks inside."""
    body = terminal(text, keep="\n\t")
    ticks = "`" * max(3, _longest_run(body) + 1)
    yield ticks + info
    yield from body.removesuffix("\n").split("\n")
    yield ticks


def _longest_run(text: str) -> int:
    if "`" not in text:
        return 0
    return max(len(run) for run in _BACKTICKS.findall(text))


MAX_NAME_BYTES: Final = 100  # leaves room for session id, segment and suffix under eCryptfs' limit of 143
_PLAIN_NAME: Final = Late(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_-])?")
# https://learn.microsoft.com/windows/win32/fileio/naming-a-file (a suffix does not free the name: "nul.txt").
_DEVICE: Final = Late(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9]|conin|conout)(?:\.|$)", re.IGNORECASE)


def file_name(agent: str) -> str:
    """A readable file name part for *agent*: no path, no hidden or reserved name, no glob, at most 100 bytes.

    Letters, digits and pictographs of any script stay; runs of anything else become one "_". Two agents may
    share a name: the session id tells their files apart, and the true name is in the data.
    """
    if len(agent) <= MAX_NAME_BYTES and _PLAIN_NAME.fullmatch(agent) and not _DEVICE.match(agent):
        return agent
    import unicodedata

    # NFKC: one spelling for each accented letter, and full-width dots and slashes seen for what they are.
    # Beyond 1,000 characters only the checksum looks.
    wide = _utf8_names()
    kept = (ch if _in_name(ch, wide) else "\0" for ch in unicodedata.normalize("NFKC", agent[:1000]))
    name = re.sub("\0+", "_", "".join(kept))
    name = re.sub(r"^[.-]+(?=_)", "", name)  # "../x" is "_x"
    name = re.sub(r"^[.-]+", "_", name).rstrip(".")
    if not name.strip("_.-"):
        return f"agent-{_checksum(agent)}" if agent else "agent"
    if _DEVICE.match(name):
        name = "_" + name
    if len(name.encode()) > MAX_NAME_BYTES or len(agent) > 1000:
        head = name.encode()[: MAX_NAME_BYTES - 9].decode("utf-8", "ignore").rstrip(".")
        name = f"{head}-{_checksum(agent)}"
    return name


def _in_name(ch: str, wide: bool) -> bool:
    if ch.isascii():
        return ch.isalnum() or ch in "._-"
    import unicodedata

    kind = unicodedata.category(ch)
    return wide and (kind[0] in "LMN" or kind == "So") and not _BLANK.match(ch)


def _utf8_names() -> bool:
    return sys.getfilesystemencoding().lower().replace("-", "") == "utf8"


def _checksum(text: str) -> str:
    from binascii import crc32

    return f"{crc32(text.encode('utf-8', 'surrogatepass')):08x}"
