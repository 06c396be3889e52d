"""Python in a process of its own, with this checkout importable wherever the child stands."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def environment(**extra: str) -> dict[str, str]:
    """This process's environment without settings of ours, and with the checkout on the path of imports."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AI_TRACE", "TRACEPARENT"))}
    return {**kept, "PYTHONPATH": ROOT, **extra}


def run(
    code: str, *args: str, flags: tuple[str, ...] = (), **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run *code*; a child that fails fails the test, with all that it printed."""
    options.setdefault("env", environment())
    command = [sys.executable, *flags, "-c", code, *args]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done
