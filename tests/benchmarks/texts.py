"""Real text to record, from the standard library itself: prose, and source code full of names and addresses.

A prompt made of one repeated letter would flatter every recorder: the encoder and the redaction see what a
model sees. The pieces are cut at fixed places, so that two runs on one Python record the same bytes.
"""

from __future__ import annotations

import importlib.util

__all__ = ["prose", "source"]

# Modules with long lines of code, links to documents, base64 and credentials handling: what redaction must
# read.
_SOURCES = (
    "urllib.request",
    "http.cookiejar",
    "smtplib",
    "ssl",
    "email.message",
    "ftplib",
    "hashlib",
    "uuid",
)
_TOPICS = (
    "execmodel",
    "naming",
    "types",
    "exceptions",
    "classes",
    "function",
    "import",
    "objects",
    "debugger",
)


def _cut(text: str, size: int, count: int) -> list[str]:
    """*count* pieces of *size* characters, evenly spread over *text*."""
    stride = max(1, (len(text) - size) // count)
    return [text[i * stride : i * stride + size] for i in range(count)]


def prose(size: int, count: int = 16) -> list[str]:
    """Pieces of the Python language reference as it ships with the interpreter."""
    from pydoc_data.topics import topics

    return _cut("\n".join(topics[t] for t in _TOPICS if t in topics), size, count)


def source(size: int, count: int = 16) -> list[str]:
    """Pieces of the standard library's own modules for the network."""
    texts = []
    for name in _SOURCES:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin:
            with open(spec.origin, encoding="utf-8") as file:
                texts.append(file.read())
    return _cut("\n".join(texts), size, count)
