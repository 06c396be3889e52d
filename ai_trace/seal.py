"""Seals: each line of a journal carries a hash of itself and of the line before it, so that changes show.

    {"name":…,"len":408,…,"finished_at":1709300422.2,"seal":"0000002a5f0c…"}

`seal` is the last key: 72 hex digits, N and H. N (8 digits) is the line's number in its journal, from 1. H
(64 digits) is SHA-256, or HMAC-SHA256 (RFC 2104) where there is a key, of these bytes one after the other:
the seal of the line before (72 digits), then this line from its `{` up to where H begins, N included.
Before the first line stands the seal N = 00000000, H = hash of "ai_trace seal 1\\n<trace id>\\n<segment>", so
that journals and segments cannot change places. `len` counts the seal. A line that could not be written takes
no part in the chain: its number is given to the next.

What it proves. A line changed, removed, added, moved or repeated inside a chain is found, by anybody.
- Without a key, whoever can write the file can also build the whole chain anew. Against that helps a seal
  kept elsewhere (`ai-trace verify --head`), which proves every line up to it; or a key that he cannot read.
  The recording process has the key: who rules over that process can seal what he likes.
- A cut-off end leaves a good chain, and so does a whole journal or segment that is gone. Both are found only
  against a seal kept elsewhere, or by a line that came later in the same file.
- What was never recorded, or recorded falsely, is sealed as well as the truth.

Imports hashlib, which costs milliseconds: imported only where a journal is sealed or checked.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Any, Final

__all__ = ["BARE", "KEYED", "ROOM", "Chain", "Seal", "seal_in"]

BARE: Final = "sha256"
KEYED: Final = "hmac-sha256"
_KEY: Final = b',"seal":"'
_DIGITS: Final = 8 + 64
ROOM: Final = len(_KEY) + _DIGITS + 1  # bytes by which a seal makes a line longer
_AT_END: Final = re.compile(rb',"seal":"([0-9a-f]{72})"\}[ \t\r\n]*\Z')
_NUMBERS: Final = 1 << 32  # the number begins anew behind four thousand million lines


class Seal:
    """The way seals are made: *key* None for SHA-256, else HMAC-SHA256 (a str counts as its UTF-8 bytes; a newline at
    its end, as a file leaves it, is no part of it).

    Attributes:
        kind: "sha256" or "hmac-sha256", as the session's header tells it.
    """

    def __init__(self, key: bytes | str | None = None) -> None:
        secret = key.encode("utf-8", "surrogatepass") if isinstance(key, str) else key
        self.kind = BARE if secret is None else KEYED
        # A copy of a prepared state costs less than a new one, most of all with a key.
        self._blank: Any = hashlib.sha256() if secret is None else hmac.new(_bare(secret), digestmod="sha256")

    def first(self, trace_id: str, segment: int) -> bytes:
        """What stands for the seal of the line before the first."""
        start = f"ai_trace seal 1\n{trace_id}\n{segment}".encode("utf-8", "surrogatepass")
        return b"00000000" + self._hash(start)

    def sign(self, line: bytes, before: bytes, number: int) -> tuple[bytes, bytes]:
        """*line*, which ends in `}\\n` and whose `len` has counted `ROOM`, with its seal; and that seal.

        *before* is the seal of the line before, *number* this line's own number.
        """
        digits = b"%08x" % (number % _NUMBERS)
        body = line[:-2] + _KEY + digits
        digest = self._hash(before + body)
        return body + digest + b'"}\n', digits + digest

    def fits(self, line: bytes, before: bytes) -> bool:
        """Whether the sealed *line* is as it was written, directly behind the line with the seal *before*."""
        end = line.rindex(b'"}')
        return self._hash(before + line[: end - 64]) == line[end - 64 : end]

    def _hash(self, text: bytes) -> bytes:
        state = self._blank.copy()
        state.update(text)
        digest: str = state.hexdigest()
        return digest.encode()


def _bare(key: bytes) -> bytes:
    return key.removesuffix(b"\n").removesuffix(b"\r")


def seal_in(line: bytes) -> bytes | None:
    """The seal that *line* carries; None where it carries none."""
    found = _AT_END.search(line, max(0, len(line) - ROOM - 16))
    return found[1] if found else None


class Chain:
    """The seals of one journal, checked line by line.

    Args:
        key: what the lines must be sealed with. None: what is sealed without a key is checked, and of what is
            sealed with one only the order.

    Attributes:
        kind: how the journal says it was sealed; "" until a sealed line was seen.
        head: the seal that ends the chain so far, "" where there is none.
        sealed, bare: how many lines carry a seal, and how many do not.
        proved: whether the hashes could be checked.
    """

    def __init__(self, key: Seal | None = None) -> None:
        self.kind = ""
        self.sealed = self.bare = 0
        self.proved = True
        self._key = key
        self._seal = key or Seal()
        self._last: bytes | None = None
        self._stray: bytes | None = None  # of a line out of place

    @property
    def head(self) -> str:
        return (self._last or b"").decode()

    def check(self, line: bytes, session: dict[str, Any]) -> str:
        """What is wrong with the seal of the next *line*, as a sentence; "" where all is well.

        *session* is the header that the line carries, {} where it carries none. A line without a seal is
        wrong once a sealed one was seen; whether it should have one at all is for the caller to say.
        """
        seal = seal_in(line)
        if seal is None:
            self.bare += 1
            return "it carries no seal" if self.sealed else ""
        self.sealed += 1
        if self._last is None:
            return self._begin(line, seal, session)
        missing = _ahead(seal, self._last)
        if missing < 0:
            return self._out_of_place(line, seal)
        before, self._last, self._stray = self._last, seal, None
        return _missing(missing) if missing else self._judge(line, before)

    def _out_of_place(self, line: bytes, seal: bytes) -> str:
        """A line that says it belongs further up. Lines behind it that follow from it are not told again."""
        before, last = self._stray, self._last or b""
        if before is not None and _ahead(seal, before) == 0 and not self._judge(line, before):
            self._last, self._stray = seal, None
            return ""
        self._stray = seal
        if seal == last:
            return "it stands there twice"
        return f"out of place: it is line {_number(seal):,} of the chain, behind line {_number(last):,}"

    def _begin(self, line: bytes, seal: bytes, session: dict[str, Any]) -> str:
        said = session.get("seal")
        self.kind = said if type(said) is str else self._seal.kind
        self.proved = self._key is not None or self.kind != KEYED
        self._last = seal
        bare = f"{_lines(self.bare)} before it carry no seal" if self.bare else ""
        missing = _number(seal) - 1
        if missing or bare:
            return "; ".join(filter(None, (bare, _missing(missing) if missing else "")))
        if self._key is not None and self.kind != KEYED:
            return "it is sealed without a key, so anybody may have written it"
        segment = session.get("segment", 0)
        return self._judge(line, self._seal.first(str(session.get("trace_id")), segment))

    def _judge(self, line: bytes, before: bytes) -> str:
        if not self.proved or self._seal.fits(line, before):
            return ""
        other = "" if self._key is None else ", or this is not the key"
        return f"its seal does not fit: it was changed, or the seal before it{other}"


def _number(seal: bytes) -> int:
    return int(seal[:8], 16)


def _ahead(seal: bytes, last: bytes) -> int:
    """How many lines are missing between those of two seals; less than 0 where their order is wrong."""
    gap = (_number(seal) - _number(last) - 1) % _NUMBERS
    return gap if gap < _NUMBERS // 2 else gap - _NUMBERS


def _missing(count: int) -> str:
    return f"{_lines(count)} before it {'is' if count == 1 else 'are'} missing"


def _lines(count: int) -> str:
    return "1 line" if count == 1 else f"{count:,} lines"
