"""What looking costs, whole commands against a bare loop: `python -m tests.benchmarks.reading [--small] [--json]`.

Three corpora are made in a temporary folder: one session of a million small steps, 10,000 sessions of twenty,
and one of 20,000 steps with a prompt of 20 KB. Each command is a process of its own, from start to end. The
base is a process, too: `for line in file: json.loads(line)` over the same bytes. Base and commands take turns,
and a figure is the median of its runs, so a ratio holds where seconds do not. *cold* is without an index
(deleted before each run), *warm* with the one that a run left behind. Memory is the peak of the largest
process. Beside the seconds on the wall stand those of the processors, of helper processes too: on a machine
that has other work, the ratio of those is the one to believe. The bytecode is compiled before anything is
measured, as an installer does it.

Peers are measured where they are: `jq`, DuckDB (its Python package or its program), and the older package's
command line, given its folder: `--older PATH`.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from ai_trace.index import NAME
from tests.benchmarks.texts import source

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
START = 1_772_000_000.0
LOOP = """
import glob, json, sys
for path in sorted(glob.glob(sys.argv[1] + "/*.jsonl")):
    with open(path, "rb") as file:
        for line in file:
            json.loads(line)
"""
DUCK = """
SELECT name, count(*), sum((outcome = 'error')::int), sum(duration_ms),
       quantile_disc(duration_ms, [0.5, 0.95, 0.99]), max(duration_ms)
FROM read_json_auto('{path}/*.jsonl', format='newline_delimited', maximum_object_size=67108864) GROUP BY name
"""
JQ = "reduce inputs as $s ({}; .[$s.name] |= {n: (.n + 1), ms: (.ms + $s.duration_ms)})"
SIZES = {"small steps": 1_000_000, "sessions": 10_000, "large steps": 20_000}
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
PROMPTS = [json.dumps(text) for text in source(19_000, 32)]


class Run(NamedTuple):
    """One process: its wall seconds, its peak memory in MiB, seconds to the first byte it wrote; and seconds of
    the processors, its own children's included."""

    seconds: float
    mib: float
    first: float
    cpu: float


def line(number: int, random_: random.Random, context: str, parent: str | None = None) -> str:
    """A journal line as the recorder writes it."""
    began = START + number * 0.5
    failed = number % 50 == 49
    head = (
        f'{{"name":"{("decide", "fetch", "act", "check")[number % 4]}","outcome":"{"error" if failed else "ok"}",'
        f'"started_at":{began:.6f},"duration_ms":{random_.lognormvariate(3, 1):.3f},"id":"{number + 1:016x}",'
        f'"parent":{"null" if parent is None else chr(34) + parent + chr(34)},'
        f'"error":{chr(34) + "ValueError: no price" + chr(34) if failed else "null"}'
    )
    tail = (
        f',"context":{context},"logs":[{{"_t":{began:.6f},"action":"BUY","confidence":0.87}}],'
        f'"finished_at":{began + 0.1:.6f}'
    )
    return f'{head},"len":@{tail}'


def whole(text: str, more: str = "") -> bytes:
    text = f"{text}{more}}}\n"
    size = len(text) - 1
    digits = len(str(size + 3))
    return text.replace('"len":@', f'"len":{size + digits}', 1).encode()


def session(number: int) -> str:
    head = {
        "agent": "trader", "session_id": stamp(number), "trace_id": f"{number + 1:032x}", "meta": {}, "pid": 1,
        "host": "here", "started_at": START, "format": 1, "writer": "1.0.0",
    }  # fmt: skip
    return ',"session":' + json.dumps(head, separators=(",", ":"))


def stamp(number: int) -> str:
    return time.strftime("%Y%m%d_%H%M%S", time.gmtime(START + number))


def lines(count: int, context: Callable[[random.Random], str], number: int = 0) -> Iterator[bytes]:
    random_ = random.Random(number)
    for n in range(count):
        parent = f"{n // 10 * 10 + 10:016x}" if n % 10 != 9 else None  # nine steps inside one that ends last
        yield whole(line(n, random_, context(random_), parent), session(number) if n == 0 else "")


def small(random_: random.Random) -> str:
    return f'{{"symbol":"BTCUSDT","price":{random_.random() * 60000:.2f},"side":"long"}}'


def large(random_: random.Random) -> str:
    return f'{{"model":"m-1","prompt":{random_.choice(PROMPTS)}}}'


def corpora(folder: str, scale: int) -> dict[str, str]:
    """The folders of the three corpora, each a part *scale* of its full size."""
    places = {name: os.path.join(folder, name.replace(" ", "-")) for name in SIZES}
    for name, place in places.items():
        os.mkdir(place)
        count = SIZES[name] // scale
        sessions = range(count) if name == "sessions" else range(1)
        for number in sessions:
            made = lines(20 if name == "sessions" else count, large if name == "large steps" else small, number)
            with open(os.path.join(place, f"trader_{stamp(number)}.jsonl"), "wb") as file:
                file.writelines(made)
    return places


def run(command: list[str], *, first_line: bool = False) -> Run:
    """Run *command* with its output thrown away; with *first_line* it is left alone after the first."""
    with tempfile.TemporaryFile() as errors:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, cwd=ROOT, env=ENVIRONMENT)
        assert process.stdout is not None
        process.stdout.readline() if first_line else process.stdout.read(1)
        first = time.perf_counter() - began
        if not first_line:
            while process.stdout.read(1 << 20):
                pass
        process.stdout.close()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode and not first_line:
            errors.seek(0)
            raise RuntimeError(f"{command}: {process.returncode}: {errors.read().decode()[-500:]}")
    cpu = usage.ru_utime + usage.ru_stime  # of the process and of all children that it waited for
    return Run(seconds, usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10), first, cpu)


def compile_all(folder: str) -> None:
    """Have the bytecode of the package in *folder*, where all that is measured finds it."""
    ENVIRONMENT["PYTHONPYCACHEPREFIX"] = folder
    for _ in range(2):  # the standard library's too, as far as it is used: by a run of it
        run([sys.executable, "-m", "compileall", "-q", "ai_trace"])
        run(ours(folder, "list"))


def ours(place: str, *words: str) -> list[str]:
    return [sys.executable, "-m", "ai_trace", "--dir", place, *words]


class Work(NamedTuple):
    """A row of the table: what is done, on which corpus, and whether the first line or the end counts."""

    name: str
    corpus: str
    words: tuple[str, ...]
    first_line: bool = False


def works(places: dict[str, str], scale: int) -> list[Work]:
    """The commands that are measured."""
    step = f"{SIZES['small steps'] // scale // 2 // 10 * 10:016x}"
    return [
        Work("stats, small steps", "small steps", ("stats",)),
        Work("stats, steps of 20 KB", "large steps", ("stats",)),
        Work("list, many sessions", "sessions", ("list", "-n", "0")),
        Work("stats, many sessions", "sessions", ("stats",)),
        Work("tail -n 20 --no-follow", "small steps", ("tail", "latest", "-n", "20", "--no-follow")),
        Work("view --last 20", "small steps", ("view", "--last", "20")),
        Work("view, first line", "small steps", ("view",), True),
        Work("view --step ID", "small steps", ("view", "--step", step)),
    ]


def measure(work: Work, place: str, rounds: int) -> dict[str, Any]:
    """Base, cold and warm in turns."""
    index = os.path.join(place, NAME)
    runs: dict[str, list[Run]] = {"base": [], "cold": [], "warm": []}
    for _ in range(rounds):
        if os.path.exists(index):
            os.unlink(index)
        runs["base"].append(run([sys.executable, "-c", LOOP, place]))
        runs["cold"].append(run(ours(place, *work.words), first_line=work.first_line))
        run(ours(place, "stats"))
        run(ours(place, "list", "-n", "0"))
        runs["warm"].append(run(ours(place, *work.words), first_line=work.first_line))
    return {name: figures(found, runs["base"], first=work.first_line and name != "base") for name, found in runs.items()}


def figures(found: list[Run], base: list[Run], *, first: bool = False) -> dict[str, float]:
    """The medians of *found*, and their ratios to those of *base*; with *first* the time to the first line."""
    seconds = statistics.median(one.first if first else one.seconds for one in found)
    cpu = statistics.median(one.cpu for one in found)
    return {
        "seconds": round(seconds, 3),
        "ratio": round(seconds / statistics.median(one.seconds for one in base), 4),
        "cpu_seconds": round(cpu, 3),
        "cpu_ratio": round(cpu / statistics.median(one.cpu for one in base), 4),
        "peak_mib": round(max(one.mib for one in found), 1),
    }


def peers(place: str, older: str | None) -> dict[str, list[str]]:
    """The peers that are installed, each counting the steps of *place* by name."""
    found = {}
    if shutil.which("jq"):
        shell = 'cat "$1"/*.jsonl | jq -n "$2"'
        found[_said("jq", "--version").replace("-", " ")] = ["sh", "-c", shell, "sh", place, JQ]
    if importlib.util.find_spec("duckdb"):
        query = f"import duckdb; print(duckdb.sql({DUCK.format(path=place)!r}).fetchall())"
        found[f"DuckDB {importlib.metadata.version('duckdb')}"] = [sys.executable, "-c", query]
    elif shutil.which("duckdb"):
        found[f"DuckDB {_said('duckdb', '--version').split()[0]}"] = ["duckdb", "-c", DUCK.format(path=place)]
    if older:
        code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from ai_trace.cli import main; main()"
        found["ai-decision-tracer"] = [sys.executable, "-I", "-c", code, older, "--dir", place, "stats"]
    return found


def _said(*command: str) -> str:
    return subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.decode().strip()


def compare(place: str, older: str | None, rounds: int) -> dict[str, dict[str, Any]]:
    """The peers at `stats`, against the loop."""
    found: dict[str, dict[str, Any]] = {}
    for name, command in peers(place, older).items():
        try:
            pairs = [(run([sys.executable, "-c", LOOP, place]), run(command)) for _ in range(rounds)]
        except RuntimeError as error:
            found[name] = {"failed": str(error)[-200:]}
            continue
        found[name] = figures([peer for _, peer in pairs], [loop for loop, _ in pairs])
    return found


def show(results: dict[str, Any]) -> None:
    """Two tables in Markdown, as the README has them."""
    print(f"{platform.python_implementation()} {platform.python_version()}, {os.cpu_count()} cores, medians of "
          f"{results['rounds']}; seconds on the wall / of the processors, and their ratios to the loop")  # fmt: skip
    print("\n| work | loop, s | cold, s | × loop | MiB | warm, s | × loop | MiB |\n|---|--:|--:|--:|--:|--:|--:|--:|")
    for name, row in results["works"].items():
        print(f"| {name} | {_seconds(row['base'])} | {_cells(row['cold'])} | {_cells(row['warm'])} |")
    if results["peers"]:
        print("\n| peer | s | × loop | MiB |\n|---|--:|--:|--:|")
    for corpus, found in results["peers"].items():
        for name, row in found.items():
            print(f"| {name}, {corpus} | {row.get('failed') or _cells(row)} |")


def _seconds(row: dict[str, float]) -> str:
    return f"{row['seconds']:.2f} / {row['cpu_seconds']:.2f}"


def _cells(row: dict[str, float]) -> str:
    return f"{_seconds(row)} | {row['ratio']:.2f} / {row['cpu_ratio']:.2f} | {row['peak_mib']:.0f}"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.reading", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--small", action="store_true", help="a fiftieth of the corpora, for a quick run")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each figure (default 3)")
    parser.add_argument("--only", metavar="TEXT", default="", help="only the works whose name holds TEXT, or 'peers'")
    parser.add_argument("--older", metavar="PATH", help="folder that holds the older package's `ai_trace`")
    parser.add_argument("--folder", metavar="DIR", help="keep the corpora here, and use those that are")
    args = parser.parse_args(argv)
    scale = 50 if args.small else 1
    with tempfile.TemporaryDirectory(prefix="reading-") as place:
        folder = args.folder or place
        os.makedirs(folder, exist_ok=True)
        made = args.folder and os.path.isdir(os.path.join(folder, "large-steps"))
        places = {name: os.path.join(folder, name.replace(" ", "-")) for name in SIZES} if made else corpora(folder, scale)
        compile_all(os.path.join(place, "bytecode"))
        todo = [work for work in works(places, scale) if args.only in work.name]
        results: dict[str, Any] = {"python": platform.python_version(), "scale": scale, "rounds": args.rounds}
        results["works"] = {work.name: measure(work, places[work.corpus], args.rounds) for work in todo}
        compared = () if args.only and "peers" not in args.only else ("small steps", "large steps")
        results["peers"] = {name: compare(places[name], args.older, args.rounds) for name in compared}
    print(json.dumps(results)) if args.json else show(results)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
