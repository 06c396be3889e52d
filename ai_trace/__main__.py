"""`python -m ai_trace`: the command line, as `ai-trace`."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    try:
        from .cli import main

        code = main()
    except KeyboardInterrupt:  # while the command was being loaded
        code = 130
    sys.exit(code)
