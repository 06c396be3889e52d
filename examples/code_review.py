"""An agent that reviews real source files and decides which one to work on first.

    python -m examples.code_review [FILE_OR_FOLDER ...]

Without arguments it reads modules of the standard library and this repository's README, which is no Python and
so makes one step fail. It ends as every run should: with a look at its own trace, and a postmortem.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import NamedTuple

from ai_trace import Step, Tracer
from ai_trace.cli import main as ai_trace

HERE = Path(__file__).resolve().parent.parent
LIBRARY = Path(ast.__file__).parent
MODULES = ["bisect.py", "heapq.py", "textwrap.py", "shlex.py", "sched.py"]


class Finding(NamedTuple):
    path: Path
    longest: int  # lines of the longest function
    bare_excepts: int
    undocumented: int  # public functions without a docstring

    @property
    def risk(self) -> float:
        return round(self.longest / 50 + 2 * self.bare_excepts + self.undocumented / 10, 2)


def measure(source: str, path: Path) -> Finding:
    functions = [n for n in ast.walk(ast.parse(source)) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))]
    public = [f for f in functions if not f.name.startswith("_")]
    handlers = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.ExceptHandler) and n.type is None]
    return Finding(
        path=path,
        longest=max((f.end_lineno or f.lineno) - f.lineno + 1 for f in functions) if functions else 0,
        bare_excepts=len(handlers),
        undocumented=sum(ast.get_docstring(f) is None for f in public),
    )


def review(step: Step, path: Path) -> Finding:
    with step.step("read", path=path) as reading:
        source = path.read_text(encoding="utf-8")
        reading.log(characters=len(source), first_line=source.partition("\n")[0])
    with step.step("measure", path=path, lines=source.count("\n")) as measuring:
        finding = measure(source, path)
        measuring.log(finding=finding, risk=finding.risk)
    return finding


def run(tracer: Tracer, paths: list[Path]) -> Finding | None:
    findings: list[Finding] = []
    with tracer.step("review_all", files=len(paths)) as whole:
        for path in paths:
            try:
                with whole.step("review", file=path.name) as step:
                    findings.append(review(step, path))
            except (SyntaxError, UnicodeDecodeError, OSError) as err:
                whole.log(f"left out {path.name}", reason=str(err))  # the agent goes on; the step says why
        with whole.step("decide", candidates={f.path.name: f.risk for f in findings}) as step:
            worst = max(findings, key=lambda f: f.risk, default=None)
            if worst is None:
                step.log(action="STOP", reason="nothing could be read")
            else:
                step.log(action="REFACTOR", file=worst.path.name, reason=f"highest risk: {worst.risk}")
    return worst


def main(arguments: list[str]) -> int:
    given = [Path(a) for a in arguments] or [LIBRARY / name for name in MODULES] + [HERE / "README.md"]
    paths = [p for path in given for p in (sorted(path.rglob("*.py")) if path.is_dir() else [path])]
    with Tracer("code_review", meta={"python": sys.version.split()[0], "policy": "highest risk first"}) as tracer:
        worst = run(tracer, paths)
    print(f"The agent decided: {worst.path.name if worst else 'nothing'}\n", flush=True)
    ai_trace(["view", str(tracer.path), "--no-pager"])
    report = tracer.save_markdown()
    first, rest = report.read_text(encoding="utf-8").split("\n## Summary", 1)
    print(f"\nThe postmortem begins:\n\n{first}\n… and {len(rest.splitlines())} lines more: {report}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
