"""An asyncio agent that does many things at once: it looks for the same code in two places of the standard library.

    python -m examples.many_at_once [FOLDER]

Every file is a task of its own with its own step; parents stay right although all of them run interleaved. The
agent has a deadline: what it did not reach in time is cancelled, and the trace says so. It ends with `stats`.
"""

from __future__ import annotations

import ast
import asyncio
import hashlib
import sys
from pathlib import Path

from ai_trace import Tracer, current_step, log
from ai_trace.cli import main as ai_trace

LIBRARY = Path(ast.__file__).parent
DEADLINE = 20.0  # seconds
AT_ONCE = 16
SHORTEST = 5  # statements; shorter functions are alike by chance

tracer = Tracer("clone_finder", meta={"deadline_s": DEADLINE})
Places = dict[str, list[str]]


@tracer.traced("fingerprint", result=False)
def fingerprint(source: str, file: str) -> Places:
    """Each function's body, names and all, as a hash."""
    found: Places = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and len(list(ast.walk(node))) > 40 and len(node.body) >= SHORTEST:
            body = "\n".join(ast.dump(statement) for statement in node.body)
            found.setdefault(hashlib.sha256(body.encode()).hexdigest(), []).append(f"{file}:{node.lineno} {node.name}")
    log(functions=sum(map(len, found.values())))  # to whichever step is current: this function's own
    return found


async def scan(path: Path, gate: asyncio.Semaphore) -> Places:
    async with gate, tracer.step("scan", file=path.name) as step:
        source = await asyncio.to_thread(path.read_text, encoding="utf-8")
        step.log(bytes=len(source))
        await asyncio.sleep(0)  # let the others in between
        assert current_step() is step
        return fingerprint(source, path.name)


async def run(folder: Path) -> Places:
    gate = asyncio.Semaphore(AT_ONCE)
    async with tracer.step("find_clones", folder=folder) as step:
        tasks = [asyncio.ensure_future(scan(path, gate)) for path in sorted(folder.glob("*.py"))[:80]]
        done, late = await asyncio.wait(tasks, timeout=DEADLINE)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        places: Places = {}
        for task in done:
            for body, where in task.result().items():
                places.setdefault(body, []).extend(where)
        clones = {body[:8]: where for body, where in places.items() if len(where) > 1}
        step.log("decided", files=len(done), cancelled=len(late), clones=clones)
    return clones


def main(arguments: list[str]) -> int:
    clones = asyncio.run(run(Path(arguments[0]) if arguments else LIBRARY))
    tracer.close()
    print(f"{len(clones)} pieces of code stand in two places:")
    for where in clones.values():
        print("  " + " = ".join(where))
    print(flush=True)
    return ai_trace(["stats", str(tracer.path)])


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
