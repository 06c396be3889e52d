"""`python -m ai_trace`: the command line, as `ai-trace`."""

from __future__ import annotations

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
