"""When memory ends, the agent sees no error of ours, no line is half written, and the loss is counted."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.children import environment, run
from tests.journals import lines

limits = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="RLIMIT_AS holds on Linux alone")
allocations = pytest.mark.skipif(
    importlib.util.find_spec("_testcapi") is None, reason="this Python has no _testcapi.set_nomemory"
)


@limits
def test_a_value_that_does_not_fit_into_memory_is_marked_and_the_rest_is_kept(tmp_path: Path) -> None:
    """Little address space is left and a log needs it all: a mark or a counted drop, and recording goes on."""
    code = (
        "import json, resource, sys\n"
        "import ai_trace\n"
        "tracer = ai_trace.Tracer('agent', sys.argv[1])\n"
        "with tracer.step('before'): pass\n"
        "big = ['x' * 1_000_000] * 12\n"
        "with open('/proc/self/statm') as file: used = int(file.read().split()[0]) * resource.getpagesize()\n"
        "hard = resource.getrlimit(resource.RLIMIT_AS)[1]\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 6_000_000, hard))\n"
        "for n in range(4):\n"
        "    with tracer.step('tight', n=n) as step:\n"
        "        step.log(big=big)\n"
        "resource.setrlimit(resource.RLIMIT_AS, (hard, hard))\n"
        "with tracer.step('after'): pass\n"
        "tracer.close()\n"
        "print(json.dumps(tracer.dropped))\n"
    )
    dropped = json.loads(run(code, str(tmp_path)).stdout)
    records = lines(tmp_path)
    names = [record["name"] for record in records]
    assert names[0] == "before" and names[-1] == "after"
    assert names.count("tight") + sum(dropped.values()) >= 4
    text = json.dumps(records)
    assert "MemoryError" in text or dropped, "memory never ran out: the test proves nothing"


# `set_nomemory(n, m)` fails the allocations from n to m of the whole interpreter.
NO_MEMORY = """
import gc, json, os, sys
import _testcapi
import ai_trace
tracer = ai_trace.Tracer("agent", sys.argv[1])
with tracer.step("warm", a=1) as step: step.log("up", b=2)
gc.disable()
kept, struck, foreign = [], 0, 0
first, last, stride = map(int, sys.argv[2:])
for n in range(first, last, stride):
    step = None
    before = sum(tracer.dropped.values())
    try:
        _testcapi.set_nomemory(n, n + 1)
        try:
            step = tracer.step("tight", n=1)
            step.start()
            step.log("said", m=2)
            step.finish()
        finally:
            _testcapi.remove_mem_hooks()
    except MemoryError:
        struck += 1
        if step is not None and not step.ended: step.finish()
        continue
    if sum(tracer.dropped.values()) == before: kept.append(step.id)
with tracer.step("after"): pass
tracer.close()
print(json.dumps({"kept": kept, "struck": struck, "dropped": tracer.dropped}))
"""


@allocations
def test_any_single_allocation_may_fail(tmp_path: Path) -> None:
    """The n-th allocation fails, for each n: what was acknowledged is there, every line is whole JSON."""
    command = [sys.executable, "-c", NO_MEMORY, str(tmp_path), "0", "160", "1"]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True)
    if done.returncode < 0:
        pytest.skip("this CPython itself crashes where an allocation fails in its own C code")
    assert 0 == done.returncode, done.stderr
    answer = json.loads(done.stdout)
    records = lines(tmp_path)
    ids = [record["id"] for record in records]
    # Behind it stand only steps whose end was struck: the close tells them.
    behind = records[[record["name"] for record in records].index("after") + 1 :]
    assert all("interrupted" in record["error"] or "still open" in record["error"] for record in behind)
    assert set(answer["kept"]) <= set(ids) and len(ids) == len(set(ids))
