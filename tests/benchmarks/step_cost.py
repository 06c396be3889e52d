"""What one step costs, as a multiple of the floor: `python -m tests.benchmarks.step_cost [--json]`.

The floor is the same record, key for key, built as bare dicts and written by one held `json.JSONEncoder`
and one `os.write`. Each recorder runs in a process of its own; there a short round of the floor and a short
round of the recorder take turns, and the ratio is the median over all pairs of rounds. A busy machine slows
both of a pair, so the ratio holds where the microseconds do not.

Peers are measured where they are installed: eliot, loguru, opentelemetry-sdk. The older package
`ai-decision-tracer` has our import name, so give the folder that it was unpacked to: `--older PATH`.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

from tests.benchmarks.contenders import CONTENDERS, Recorder, available
from tests.benchmarks.texts import prose, reference, source

Sample = tuple[dict[str, Any], dict[str, Any]]


def _small() -> list[Sample]:
    log = {"action": "BUY", "confidence": 0.87, "reason": "volume spike"}
    return [({"symbol": "BTCUSDT", "price": 64213.5 + i, "side": "long"}, log) for i in range(16)]


def _model_call(prompts: list[str]) -> list[Sample]:
    pairs = zip(prompts, prose(2048))
    return [
        (
            {"model": "some-model-1", "prompt": p},
            {"completion": c, "input_tokens": 1021, "output_tokens": 498},
        )
        for p, c in pairs
    ]


# name -> (what it is, its samples, steps in a round, how many steps one call records)
WORKLOADS = {
    "small": ("three small context keys, one log", _small, 320, 1),
    "prose": ("4 KB prompt, 2 KB completion, prose", lambda: _model_call(prose(4096)), 96, 1),
    "reference": ("the same, prompt of documentation", lambda: _model_call(reference(4096)), 96, 1),
    "source": ("the same, prompt of source code", lambda: _model_call(source(4096)), 96, 1),
    "family": ("parent with three children, per step", _small, 320, 4),
}
_WARM_UP = 32  # calls before the clock starts: the first line opens files, caches fill


def _round(name: str, samples: list[Sample], calls: int, family: bool) -> float:
    """Microseconds for one call, with a recorder opened for this round alone."""
    with tempfile.TemporaryDirectory() as folder:
        recorder: Recorder = CONTENDERS[name](folder)
        call = recorder.family if family else recorder.step
        try:
            for context, fields in (samples * _WARM_UP)[:_WARM_UP]:
                call(context, fields)
            turns = samples * (calls // len(samples))
            gc.collect()
            began = time.perf_counter_ns()
            for context, fields in turns:
                call(context, fields)
            return (time.perf_counter_ns() - began) / 1000 / len(turns)
        finally:
            recorder.close()


def measure(name: str, workload: str, rounds: int) -> dict[str, float]:
    """Floor and *name* in turns, in this process."""
    _, make, steps, per_call = WORKLOADS[workload]
    samples = make()
    calls = max(len(samples), steps // per_call)
    floors, costs = [], []
    for turn in range(rounds):
        order = ("floor", name) if turn % 2 else (name, "floor")
        took = {who: _round(who, samples, calls, per_call > 1) for who in order}
        floors.append(took["floor"] / per_call)
        costs.append(took[name] / per_call)
    return {
        "us": round(statistics.median(costs), 2),
        "floor_us": round(statistics.median(floors), 2),
        "ratio": round(statistics.median(cost / base for cost, base in zip(costs, floors)), 3),
    }


def _in_own_process(name: str, workload: str, rounds: int, older: str | None) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.benchmarks.step_cost", "--worker", name]
    command += ["--workload", workload, "--rounds", str(rounds)]
    if older and name == "ai-decision-tracer":
        command += ["--older", older]
    answer = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    figures: dict[str, float] = json.loads(answer.stdout)
    return figures


def _print_table(results: dict[str, dict[str, dict[str, float]]]) -> None:
    print(f"{platform.python_implementation()} {platform.python_version()}, {platform.system()}")
    print(f"{'workload':<40} {'recorder':<20} {'us/step':>8} {'floor':>7} {'x floor':>8}")
    for workload, figures in results.items():
        for name, row in figures.items():
            print(
                f"{WORKLOADS[workload][0]:<40} {name:<20}"
                f" {row['us']:>8.2f} {row['floor_us']:>7.2f} {row['ratio']:>8.2f}"
            )


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.step_cost", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--rounds", type=int, default=40, help="pairs of rounds for each figure (default 40)")
    parser.add_argument("--older", metavar="PATH", help="folder that holds the older package's `ai_trace`")
    parser.add_argument(
        "--workload", choices=list(WORKLOADS), action="append", help="only this one (repeatable)"
    )
    parser.add_argument(
        "--only", choices=list(CONTENDERS), action="append", help="only this recorder (repeatable)"
    )
    parser.add_argument("--worker", choices=list(CONTENDERS), help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    workloads = args.workload or list(WORKLOADS)
    if args.worker:
        if args.older:
            sys.path.insert(0, args.older)
        print(json.dumps(measure(args.worker, workloads[0], args.rounds)))
        return 0
    names = [n for n in (args.only or CONTENDERS) if available(n, args.older)] or ["floor"]
    results = {w: {n: _in_own_process(n, w, args.rounds, args.older) for n in names} for w in workloads}
    if args.json:
        print(json.dumps({"python": platform.python_version(), "rounds": args.rounds, "results": results}))
    else:
        _print_table(results)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
