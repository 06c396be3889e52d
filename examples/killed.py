"""A run that is killed in the middle, and then read: what did it do last, and what did it know?

    python -m examples.killed

A child process counts the words of real texts, one step a text. While it is inside a step, it is killed by the
signal that nothing can catch. Nothing was flushed, closed or said goodbye to; everything it said is there.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from ai_trace import Tracer, load
from ai_trace.cli import main as ai_trace

TEXTS = sorted(Path(__file__).resolve().parent.parent.glob("*.md")) + [Path(__file__)]


def agent() -> None:
    """Runs in the child: counts, tells the parent when it is in the middle, and never comes to the end."""
    tracer = Tracer("word_counter", meta={"texts": len(TEXTS)})
    with tracer.step("count_all") as whole:
        for number, path in enumerate(TEXTS, 1):
            with whole.step("count", file=path.name) as step:
                words = Counter(path.read_text(encoding="utf-8").split())
                step.log(different=len(words), most_common=words.most_common(3))
                if number == len(TEXTS):
                    step.log("asking the model about the rest", waiting_for="an answer that never comes")
                    print(tracer.path, flush=True)
                    time.sleep(3600)


def main() -> int:
    command = [sys.executable, "-m", "examples.killed", "--agent"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        path = child.stdout.readline().strip() if child.stdout else ""
        child.send_signal(signal.SIGKILL)
    session = load(path)
    print(f"The agent was killed. Its session {session.id} {session.state}; in flight were:")
    for step in session.unfinished:
        print(f"  {step.name} {step.context} and {len(step.logs)} logs")
    print(flush=True)
    return ai_trace(["view", path, "--no-pager"])


if __name__ == "__main__":
    raise SystemExit(agent() if sys.argv[1:] == ["--agent"] else main())
