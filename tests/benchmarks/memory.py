"""Memory of a long run: `python -m tests.benchmarks.memory [--steps 1000000] [--json]`.

One process records a million small steps under one open root; what its resident memory grows by after the
first tenth (when caches are full) is the figure. Reads `/proc/self/statm`, or the peak where there is none.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import sys
import tempfile


def resident_mib() -> float:
    """Resident memory of this process now; its peak on systems without `/proc`."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    except OSError:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (2**20 if sys.platform == "darwin" else 2**10)


def measure(steps: int) -> dict[str, float]:
    from ai_trace import Tracer

    warm_up = steps // 10
    with tempfile.TemporaryDirectory() as folder, Tracer("memory", folder) as tracer:
        before = 0.0
        with tracer.step("root"):
            for i in range(steps):
                if i == warm_up:
                    gc.collect()
                    before = resident_mib()
                with tracer.step("decision", symbol="BTCUSDT", turn=i) as step:
                    step.log(action="BUY", confidence=0.87)
            gc.collect()
            after = resident_mib()
        live = sum(
            os.path.getsize(os.path.join(folder, f)) for f in os.listdir(folder) if f.endswith(".live")
        )
    return {
        "steps": steps,
        "before_mib": round(before, 2),
        "grew_mib": round(after - before, 2),
        "live_bytes": live,
    }


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.memory", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument(
        "--older", metavar="PATH", help="folder of the older package: measure that one instead"
    )
    args = parser.parse_args(argv)
    if args.older:
        sys.path.insert(0, args.older)
    figures = measure(args.steps)
    if args.json:
        print(json.dumps({"python": platform.python_version(), **figures}))
    else:
        print(f"{figures['steps']:,} steps: resident memory grew by {figures['grew_mib']:.2f} MiB"
              f" from {figures['before_mib']:.2f} MiB")  # fmt: skip
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
