"""What a seal adds to a step: `python -m tests.benchmarks.seal_cost [--rounds N]`.

A short round without seals and a short round with them take turns in one process; the ratio is the median over
all pairs of rounds, so that a busy machine slows both of a pair. The seal alone is timed beside it.
"""

from __future__ import annotations

import argparse
import gc
import platform
import statistics
import tempfile
import time
import timeit

from ai_trace import Tracer
from ai_trace.seal import Seal
from tests.benchmarks.texts import prose

KINDS: dict[str, bool | bytes] = {"none": False, "sha256": True, "hmac-sha256": b"k" * 32}
LOADS = {"small step": "volume spike", "4 KB prompt": prose(4096)[0]}
STEPS = 320


def _round(seal: bool | bytes, text: str) -> float:
    """Microseconds for one step."""
    with tempfile.TemporaryDirectory() as folder, Tracer("bench", folder, seal=seal) as tracer:
        for turn in range(STEPS + 32):
            if turn == 32:  # files are open and caches full
                gc.collect()
                began = time.perf_counter_ns()
            with tracer.step("decide", symbol="BTCUSDT", price=64213.5 + turn, side="long") as step:
                step.log(action="BUY", confidence=0.87, reason=text)
        return (time.perf_counter_ns() - began) / 1000 / STEPS


def _alone(seal: bool | bytes, size: int) -> float:
    """Microseconds for the seal of a line of *size* bytes."""
    maker = Seal(None if seal is True else bytes(seal))
    line, last = b'{"a":"' + b"x" * (size - 9) + b'"}\n', maker.first("t", 0)
    return min(timeit.repeat(lambda: maker.sign(line, last, 1), number=20_000, repeat=5)) / 20_000 * 1e6


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.seal_cost", description=__doc__)
    parser.add_argument("--rounds", type=int, default=40, help="rounds of each kind (default 40)")
    rounds = parser.parse_args(argv).rounds
    print(f"{platform.python_implementation()} {platform.python_version()}, {platform.system()}")
    for load, text in LOADS.items():
        took: dict[str, list[float]] = {kind: [] for kind in KINDS}
        for turn in range(rounds):
            for kind in list(KINDS) if turn % 2 else reversed(KINDS):
                took[kind].append(_round(KINDS[kind], text))
        for kind, times in took.items():
            ratio = statistics.median(mine / base for mine, base in zip(times, took["none"]))
            print(f"{load:<12} {kind:<12} {statistics.median(times):7.2f} us a step  {ratio:6.3f} of one without")
    for kind in ("sha256", "hmac-sha256"):
        small, large = _alone(KINDS[kind], 400), _alone(KINDS[kind], 4400)
        print(f"the seal alone, {kind:<12} {small:.2f} us for 400 bytes, {large:.2f} us for 4,400")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
