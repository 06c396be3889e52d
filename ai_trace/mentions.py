"""Which numbers and words stand in a text, as keys to look seen values up by. Pure, in one pass.

- A number is a token of its own: `1234.5` and `$1,234.50`, no part of a longer number, date, time or word.
- A word, or a few in a row, is told from its first to its last letter, with 4 to 11 characters; longer texts
  are searched for as a whole elsewhere, shorter ones tell nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

__all__ = ["mentions", "numbers"]

_LEAST: Final = 4  # characters of a word, digits of a number
_MOST: Final = 11  # characters of the words
_NUMBER: Final = re.compile(
    r"(?<![\w.-])(?<![0-9][,:/])"
    r"-?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,15})(?:\.[0-9]{1,15})?"
    r"(?![\w-]|[.,:/][0-9])"
)
_WORD: Final = re.compile(r"\w+")


def numbers(text: str, least: int = 1) -> Iterator[float]:
    """The numbers in *text* that are written with at least so many digits, leading zeros not counted."""
    for token in _NUMBER.findall(text):
        if len(token.lstrip("-0.").replace(".", "").replace(",", "")) >= least:
            yield float(token.replace(",", ""))


def mentions(text: str) -> list[str | float]:
    """What *text* may mention: its numbers of four digits or more, then its words, each once."""
    found: dict[str | float, None] = dict.fromkeys(numbers(text, _LEAST))
    words = [word.span() for word in _WORD.finditer(text)]
    for first, (start, _) in enumerate(words):
        for _, end in words[first : first + _MOST]:
            if end - start > _MOST:
                break
            if end - start >= _LEAST:
                found[text[start:end]] = None
    found.pop(text, None)
    return [*found]
