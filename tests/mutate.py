"""Good bytes → damaged bytes, the same for the same seed: what disks, crashes, editors and merges do to
files."""

from __future__ import annotations

import random
from collections.abc import Callable

__all__ = ["mutated"]


def mutated(raw: bytes, seed: str) -> bytes:
    """*raw* with one to four mutations."""
    draw = random.Random(seed)
    for _ in range(draw.randint(1, 4)):
        raw = draw.choice(_MUTATIONS)(raw, draw)
    return raw


def _flip(raw: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(raw) or 1)
    return raw[:at] + bytes((raw[at] ^ 1 << draw.randrange(8),)) + raw[at + 1 :] if raw else raw


def _insert(raw: bytes, draw: random.Random) -> bytes:
    at = draw.randint(0, len(raw))
    return (
        raw[:at]
        + draw.choice((b"\n", b'"', b"{", b"}", b"\\", b'{"name":', draw.randbytes(draw.randint(1, 9))))
        + raw[at:]
    )


def _delete(raw: bytes, draw: random.Random) -> bytes:
    at = draw.randint(0, len(raw))
    return raw[:at] + raw[at + draw.choice((1, 1, 2, 30, 400)) :]


def _swap(raw: bytes, draw: random.Random) -> bytes:
    """Two blocks of equal size change places, as pages may after a crash."""
    size = draw.choice((16, 64, 512))
    if len(raw) < 2 * size:
        return raw
    a = draw.randint(0, len(raw) - 2 * size)
    b = draw.randint(a + size, len(raw) - size)
    return raw[:a] + raw[b : b + size] + raw[a + size : b] + raw[a : a + size] + raw[b + size :]


def _glue(raw: bytes, draw: random.Random) -> bytes:
    newlines = [at for at, byte in enumerate(raw) if byte == 10]
    at = draw.choice(newlines) if newlines else 0
    return raw[:at] + raw[at + 1 :]


def _zeros(raw: bytes, draw: random.Random) -> bytes:
    at, size = draw.randint(0, len(raw)), draw.choice((1, 16, 512))
    return raw[:at] + bytes(min(size, len(raw) - at)) + raw[at + size :]


def _cut(raw: bytes, draw: random.Random) -> bytes:
    return raw[: draw.randint(len(raw) // 2, len(raw))]


def _repeat(raw: bytes, draw: random.Random) -> bytes:
    """A stretch stands twice, as after a write that was retried."""
    a = draw.randint(0, len(raw))
    b = min(len(raw), a + draw.choice((10, 300)))
    return raw[:b] + raw[a:]


_MUTATIONS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _flip, _insert, _delete, _swap, _glue, _zeros, _cut, _repeat,
)  # fmt: skip
