"""An agent that decides on an old reading, and the command that shows it.

    python -m examples.stale_data [MODULE ...]

The agent keeps a folder of modules releasable: it measures how much of each is documented, mends what it
can, measures again, and decides. It has a mistake that is easy to make and hard to see: the decision is
taken on what the first look had cached. Nothing fails, every number is true or was; only the trace tells
that the agent knew better. The modules are real ones of the standard library, copied, and really changed.
"""

from __future__ import annotations

import ast
import shutil
import sys
import tempfile
from pathlib import Path

from ai_trace import Tracer
from ai_trace.cli import main as ai_trace

LIBRARY = Path(ast.__file__).parent
MODULES = ["shlex.py", "sched.py", "textwrap.py"]
ENOUGH = 0.95  # share of documented functions from which a module may be released


def functions(source: str) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]


def documented(source: str) -> float:
    """Share of the functions in *source* that have a docstring."""
    found = functions(source)
    return round(sum(ast.get_docstring(f) is not None for f in found) / len(found), 4) if found else 1.0


def mended(source: str) -> str:
    """*source* with a docstring for each function that had none."""
    lines = source.splitlines(keepends=True)
    for function in sorted(functions(source), key=lambda f: f.lineno, reverse=True):
        first = function.body[0]
        if ast.get_docstring(function) is None and first.lineno > function.lineno:
            text = function.name.strip("_").replace("_", " ").capitalize()
            lines.insert(first.lineno - 1, f'{" " * first.col_offset}"""{text}."""\n')
    return "".join(lines)


def measure(tracer: Tracer, path: Path) -> float:
    with tracer.step("measure", module=path.name) as step:
        source = path.read_text(encoding="utf-8")
        step.log(documented=documented(source), lines=source.count("\n"))
        return documented(source)


def run(tracer: Tracer, paths: list[Path]) -> None:
    cache = {path.name: measure(tracer, path) for path in paths}
    for path in paths:
        if cache[path.name] < ENOUGH:
            with tracer.step("mend", module=path.name) as step:
                before = path.read_text(encoding="utf-8")
                path.write_text(mended(before), encoding="utf-8")
                step.log("added docstrings", characters=len(mended(before)) - len(before))
            measure(tracer, path)  # the new reading is taken down, and not put into the cache
    for path in paths:
        share = cache[path.name]
        with tracer.step("decide", module=path.name, documented=share, needed=ENOUGH) as step:
            step.log(action="RELEASE" if share >= ENOUGH else "BLOCK", reason=f"{share:.0%} documented")


def main(arguments: list[str]) -> int:
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(shutil.copy(LIBRARY / name, folder)) for name in arguments or MODULES]
        with Tracer("release_warden", meta={"needed": ENOUGH}) as tracer:
            run(tracer, paths)
    print("Why was the first module blocked? What the decision knew:\n", flush=True)
    return ai_trace(["at", "decide#1", str(tracer.path)])


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
