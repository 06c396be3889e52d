"""The frame of a page: head, policy, style, script, data. One file that asks nothing of anybody. Pure.

Guarantees: the page loads nothing and runs nothing but the style and the script in it, by a Content Security
Policy that names them by their hashes (https://www.w3.org/TR/CSP3/), so even text that came through unescaped
could not act; data stands in a block that no HTML can end.
"""

from __future__ import annotations

import base64
import hashlib
import json
import pkgutil
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, Final

from .html_values import escaped

__all__ = ["document", "embedded", "policy", "script"]

_STYLE: Final = "report.css"
_SCRIPT: Final = ("timeline.js", "report.js")
# What could end the block or begin a comment in it. U+2028 and U+2029 are escaped by `json` already.
_IN_SCRIPT: Final = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


def document(title: str, body: Iterable[str], *, live: bool = False) -> Iterator[str]:
    """A whole page; *body* is HTML. A *live* one may talk to the server it came from, and to nobody else."""
    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    yield f'<meta http-equiv="Content-Security-Policy" content="{policy(live)}">\n'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    yield '<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="no-referrer">\n'
    yield f"<title>{escaped(title)}</title>\n"
    yield f"<style>{_assets(_STYLE)}</style>\n</head>\n<body>\n"
    yield from body
    yield "</body>\n</html>\n"


def policy(live: bool = False) -> str:
    """The Content Security Policy of a page."""
    rules = ["default-src 'none'", "img-src data:", "base-uri 'none'", "form-action 'none'"]
    rules += [f"style-src '{_hash(_STYLE)}'", f"script-src '{_hash(*_SCRIPT)}'"]
    return "; ".join([*rules, "connect-src 'self'"] if live else rules)


def embedded(data: Any) -> str:
    """*data* as JSON in a block that a page carries and does not run."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False).translate(_IN_SCRIPT)
    return f'<script type="application/json" id="data">{text}</script>\n'


def script() -> str:
    """The script of a page, inline."""
    return f"<script>{_assets(*_SCRIPT)}</script>\n"


@lru_cache
def _assets(*names: str) -> str:
    """The package's own files of these names, one after the other."""
    found = [pkgutil.get_data(__package__, f"page/{name}") for name in names]
    assert None not in found, f"one of {names} is missing from the installation"
    return "\n".join(data.decode() for data in found if data is not None).replace("\r\n", "\n")


@lru_cache
def _hash(*names: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(_assets(*names).encode()).digest()).decode()
