"""What `import ai_trace` adds to the start of Python: `python -m tests.benchmarks.import_time [--json]`.

Bare Python and Python with the import are started in turns; the figure is the difference of the medians, in
milliseconds, with the whole of what the import pulls in. The bytecode is cached first, whatever this shell says
about it (`PYTHONDONTWRITEBYTECODE`). `least_ms` is the difference of the fastest starts: on a machine with other
work that is nearer to the truth.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time


_ENVIRONMENT = {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _start(code: str) -> float:
    """Milliseconds from starting an interpreter with *code* to its end."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, env=_ENVIRONMENT)
    return (time.perf_counter() - began) * 1000


def measure(code: str, rounds: int) -> dict[str, float]:
    _start(code)  # writes the bytecode
    bare, full = [], []
    for turn in range(rounds):
        if turn % 2:
            bare.append(_start("pass"))
            full.append(_start(code))
        else:
            full.append(_start(code))
            bare.append(_start("pass"))
    above = statistics.median(full) - statistics.median(bare)
    least = min(full) - min(bare)
    return {"bare_ms": round(statistics.median(bare), 2), "above_ms": round(above, 2), "least_ms": round(least, 2)}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.import_time", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--rounds", type=int, default=30, help="starts of each kind (default 30)")
    parser.add_argument("--older", metavar="PATH", help="folder of the older package: measure that one too")
    args = parser.parse_args(argv)
    codes = {"ai_trace": "import ai_trace"}
    if args.older:
        codes["ai-decision-tracer"] = f"import sys; sys.path.insert(0, {args.older!r}); import ai_trace"
    results = {name: measure(code, args.rounds) for name, code in codes.items()}
    if args.json:
        print(json.dumps({"python": platform.python_version(), "rounds": args.rounds, "results": results}))
        return 0
    for name, row in results.items():
        print(
            f"import {name:<20} {row['above_ms']:>7.2f} ms above bare Python ({row['bare_ms']:.2f} ms), "
            f"least {row['least_ms']:.2f} ms"
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
