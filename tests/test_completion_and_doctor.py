"""`ai-trace completion` completes what there is; `ai-trace doctor` says what is wrong."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ai_trace.cli import COMMANDS, main

needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed here")


def _script(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert 0 == main(["completion", shell])
    return capsys.readouterr().out


def _completed(script: str, *words: str) -> list[str]:
    """What bash offers at the end of *words*."""
    line = " ".join(f"'{word}'" for word in words)
    program = f"{script}\nCOMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _ai_trace; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    done = subprocess.run(["bash", "-c", program], capture_output=True, encoding="utf-8")
    assert "" == done.stderr
    return done.stdout.split()


@needs_bash
def test_bash_completes_commands_options_and_values(capsys: pytest.CaptureFixture[str]) -> None:
    """The script offers what the program knows, in its place."""
    script = _script("bash", capsys)
    assert sorted(COMMANDS) == sorted(word for word in _completed(script, "ai-trace", "") if not word.startswith("-"))
    assert ["stats"] == _completed(script, "ai-trace", "sta")
    assert ["--errors"] == _completed(script, "ai-trace", "view", "--er")
    assert ["died"] == _completed(script, "ai-trace", "--dir", "x", "list", "--state", "d")


@needs_bash
def test_bash_completes_names_and_ids_of_sessions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A session by its name or by its bare id, unless two have that id."""
    program = tmp_path / "ai-trace"
    names = ["my_bot_20260301_173000", "my_bot_20260301_173000-2", "a_20260302_080000", "b_20260302_080000"]
    program.write_text("#!/bin/sh\n" + "".join(f"echo {name}\n" for name in names))
    program.chmod(0o700)
    script = f"PATH='{tmp_path}':$PATH\n" + _script("bash", capsys)

    assert ["20260301_173000", "20260301_173000-2"] == sorted(_completed(script, "ai-trace", "view", "2026"))
    assert ["my_bot_20260301_173000", "my_bot_20260301_173000-2"] == sorted(_completed(script, "ai-trace", "view", "my"))
    assert ["a_20260302_080000"] == _completed(script, "ai-trace", "view", "a")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_accepts_its_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A syntax error would break the user's every new shell."""
    script = _script(shell, capsys)
    assert all(name in script for name in COMMANDS)
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed here")
    assert 0 == subprocess.run([shell, "-n"], input=script, encoding="utf-8").returncode


def test_a_healthy_folder_is_told_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is wrong, nothing is left behind, and the costs are measured."""
    assert 0 == main(["doctor", "--dir", str(tmp_path / "traces"), "--json"])
    told = json.loads(capsys.readouterr().out)
    assert [] == told["wrong"]
    assert any("µs to write" in finding["found"] for finding in told["findings"])
    assert [] == list(tmp_path.iterdir())


def test_a_file_in_place_of_the_folder_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line says what is wrong and what to do."""
    (tmp_path / "file").write_text("")
    assert 1 == main(["doctor", "--dir", str(tmp_path / "file" / "traces")])
    assert f"{tmp_path / 'file'} is not a folder: choose another" in capsys.readouterr().out


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="modes mean little on this system")
def test_a_folder_open_to_all_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What others may write they may also forge."""
    os.chmod(tmp_path, 0o777)
    assert 1 == main(["doctor", "--dir", str(tmp_path)])
    assert "chmod 700" in capsys.readouterr().out


def test_tracing_that_is_switched_off_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The most common reason for an empty folder."""
    monkeypatch.setenv("AI_TRACE_DISABLED", "1")
    assert 1 == main(["doctor", "--dir", str(tmp_path)])
    assert "switched off by AI_TRACE_DISABLED" in capsys.readouterr().out
