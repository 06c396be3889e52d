"""Regular expressions that are compiled when they are first used: an import need not wait for them."""

from __future__ import annotations

import re
from typing import Any

__all__ = ["Late"]


class Late:
    """Stands for `re.compile(source, flags)`; after the first use of a method that method is the compiled one's."""

    def __init__(self, source: str | bytes, flags: int = 0) -> None:
        self._source = source
        self._flags = flags

    def __getattr__(self, name: str) -> Any:
        method = getattr(re.compile(self._source, self._flags), name)
        setattr(self, name, method)
        return method
