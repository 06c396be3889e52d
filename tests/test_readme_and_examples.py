"""The documents run: the README's code, its commands, and every example."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.children import ROOT

README = Path(ROOT, "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
EXAMPLES = sorted(path.stem for path in Path(ROOT, "examples").glob("*.py") if path.stem != "__init__")


def _python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join(filter(None, [ROOT, os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONIOENCODING": "utf-8", "NO_COLOR": "1"}
    environment.pop("AI_TRACE_DIR", None)
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments], cwd=folder, env=environment, capture_output=True, encoding="utf-8"
    )


def test_the_code_of_the_readme_runs_from_top_to_bottom(tmp_path: Path) -> None:
    """What a newcomer pastes works, without a warning, in the order in which it stands there."""
    program = "\n".join(code for language, code in BLOCKS if language == "python")
    assert program
    done = _python(tmp_path, "-c", program)
    assert (0, "") == (done.returncode, done.stderr)
    assert list((tmp_path / "traces").glob("trading_agent_*.md"))


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_ends_in_a_look_at_its_own_trace(name: str, tmp_path: Path) -> None:
    """Each example is a small true program that leaves a trace and shows it."""
    done = _python(tmp_path, "-m", f"examples.{name}")
    assert 0 == done.returncode, done.stderr
    assert list((tmp_path / "traces").glob("*.jsonl"))
    assert len(done.stdout.splitlines()) > 5
    assert "Traceback" not in done.stderr


def test_every_command_stands_in_the_readme_and_has_help_with_an_example() -> None:
    """A command that nobody can find, or that does not say how it is used, is not finished."""
    from ai_trace.cli import COMMANDS

    for name in COMMANDS:
        assert f"`ai-trace {name}" in README, name
        help_text = _python(Path(ROOT), "-m", "ai_trace", name, "--help").stdout
        assert f"ai-trace {name}" in help_text.partition("example")[2], name


def _known_options(command: str) -> set[str]:
    """The options that the program itself says it takes."""
    help_text = _python(Path(ROOT), "-m", "ai_trace", command, "--help").stdout
    return set(re.findall(r"(?<![\w-])--?[a-zA-Z][a-z-]*", help_text))


def test_the_commands_that_the_readme_shows_exist() -> None:
    """No command or option is promised that the program does not know: neither in a block nor in the table."""
    from ai_trace.cli import COMMANDS

    blocks = "\n".join(code for kind, code in BLOCKS if kind in ("console", "bash", "sh"))
    shown = re.findall(r"ai-trace (?:--dir \S+ )?([a-z]+)([^\n#|`]*)", blocks)
    table = re.findall(r"^\| `ai-trace ([a-z]+)` \|[^|]*\|(.*)\|$", README, re.MULTILINE)
    assert shown and sorted(COMMANDS) == sorted(name for name, _ in table)
    known = {name: _known_options(name) for name in COMMANDS}
    for name, rest in [*shown, *table]:
        for option in re.findall(r"(?<!\S)`?(--?[a-zA-Z][a-z-]*)", rest):
            assert option in known[name], f"ai-trace {name} {option}"
