"""`ai-trace run` on programs that use the real libraries: each is found when it is imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import ai_trace
from tests.children import environment

from .fake_provider import TEXT, Provider

PROGRAM = """
import sys
from openai import OpenAI
from langchain_openai import ChatOpenAI
import anthropic
url = sys.argv[1]
ask = [{"role": "user", "content": "Weather?"}]
with OpenAI(api_key="sk-x", base_url=url + "/v1") as client:
    print(client.chat.completions.create(model="gpt-5", messages=ask).choices[0].message.content)
with anthropic.Anthropic(api_key="sk-x", base_url=url) as client:
    print(client.messages.create(model="claude-5", messages=ask, max_tokens=9).content[0].text)
print(ChatOpenAI(model="gpt-5", api_key="sk-x", base_url=url + "/v1").invoke("Weather?").content)
"""


def test_a_program_with_several_libraries(provider: Provider, tmp_path: Path) -> None:
    """Two clients and a framework: four calls under the run, the framework's client call under the framework's."""
    for name in ("openai", "anthropic", "langchain_openai"):
        pytest.importorskip(name, reason=f"{name} is not installed")
    (tmp_path / "agent.py").write_text(PROGRAM)
    command = [sys.executable, "-m", "ai_trace", "--dir", "traces", "run", "agent.py", provider.url]
    done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"{TEXT}\n" * 3), done.stderr
    (path,) = (tmp_path / "traces").glob("*.jsonl")
    root, openai, claude, chain, below = ai_trace.load(path).steps
    assert [openai.parent, claude.parent, chain.parent, below.parent] == [root.id] * 3 + [chain.id]
    assert [step.name for step in (openai, claude, chain, below)] == [
        "chat gpt-5", "chat claude-5", "chat gpt-5", "chat gpt-5"
    ]  # fmt: skip
