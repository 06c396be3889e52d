"""`ai-trace completion` completes what there is; `ai-trace doctor` says what is wrong."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ai_trace.cli import COMMANDS, main

needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed here")
needs_fish = pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed here")
needs_zsh = pytest.mark.skipif(
    shutil.which("zsh") is None or sys.platform == "win32", reason="zsh is not installed here"
)


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


def _fake_sessions(folder: Path, *names: str) -> dict[str, str]:
    """An environment in which `ai-trace` lists these sessions."""
    program = folder / "ai-trace"
    program.write_text("#!/bin/sh\n" + "".join(f"echo {name}\n" for name in names))
    program.chmod(0o700)
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "HOME": str(folder)}


@needs_bash
def test_bash_completes_names_and_ids_of_sessions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A session by its name or by its bare id, unless two have that id."""
    _fake_sessions(
        tmp_path, "my_bot_20260301_173000", "my_bot_20260301_173000-2", "a_20260302_080000", "b_20260302_080000"
    )
    script = f"PATH='{tmp_path}':$PATH\n" + _script("bash", capsys)

    assert ["20260301_173000", "20260301_173000-2"] == sorted(_completed(script, "ai-trace", "view", "2026"))
    assert ["my_bot_20260301_173000", "my_bot_20260301_173000-2"] == sorted(_completed(script, "ai-trace", "view", "my"))
    assert ["a_20260302_080000"] == _completed(script, "ai-trace", "view", "a")


@needs_fish
def test_fish_completes_commands_options_values_sessions_and_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """fish itself is asked what it would offer."""
    (tmp_path / "completion.fish").write_text(_script("fish", capsys))
    (tmp_path / "agent.py").touch()
    env = _fake_sessions(tmp_path, "my_bot_20260301_173000")

    def offered(line: str) -> list[str]:
        asked = f"source completion.fish; complete -C '{line}'"
        done = subprocess.run(["fish", "--no-config", "-c", asked], cwd=tmp_path, env=env, capture_output=True, text=True)
        assert (0, "") == (done.returncode, done.stderr)
        return [row.split("\t")[0] for row in done.stdout.splitlines()]

    assert sorted(COMMANDS) == sorted(offered("ai-trace "))
    assert ["stats"] == offered("ai-trace --dir x sta")
    assert ["--errors"] == offered("ai-trace view --er")
    assert ["died"] == offered("ai-trace list --state d")
    assert ["--dir"] == offered("ai-trace --di") == offered("ai-trace list --di")
    assert ["latest", "my_bot_20260301_173000"] == offered("ai-trace view ") == offered("ai-trace diff --baseline ")
    assert ["bash", "fish", "zsh"] == offered("ai-trace completion ")
    assert ["agent.py"] == offered("ai-trace run ag")
    assert [] == offered("ai-trace doctor a")


@needs_zsh
@pytest.mark.parametrize("way", ["on the fpath", "sourced"])
def test_zsh_completes_commands_options_values_sessions_and_files(
    way: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A person types into a real zsh on a terminal and presses the tabulator."""
    (tmp_path / "_ai-trace").write_text(_script("zsh", capsys))
    (tmp_path / "agent.py").touch()
    path, after = ("fpath=($PWD $fpath); ", "") if way == "on the fpath" else ("", "; source ./_ai-trace")
    told = "tell() { zle -I; print -r -- \"<$BUFFER>\"; BUFFER='' }; zle -N tell; bindkey '^T' tell"
    (tmp_path / ".zshrc").write_text(f"{path}autoload -U compinit; compinit -u -D{after}; {told}; PS1='%# ready'\n")
    env = {**_fake_sessions(tmp_path, "my_bot_20260301_173000"), "ZDOTDIR": str(tmp_path), "TERM": "dumb", "COLUMNS": "200"}

    with _Terminal(["zsh", "-d", "-i"], tmp_path, env) as terminal:
        terminal.read_until("ready")
        for typed, completed in (
            ("ai-trace sta", "ai-trace stats "),
            ("ai-trace view --er", "ai-trace view --errors "),
            ("ai-trace --dir x list --state d", "ai-trace --dir x list --state died "),
            ("ai-trace --di", "ai-trace --dir "),
            ("ai-trace view my", "ai-trace view my_bot_20260301_173000 "),
            ("ai-trace completion f", "ai-trace completion fish "),
            ("ai-trace run ag", "ai-trace run agent.py "),
        ):
            terminal.write(typed + "\t\x14")  # Ctrl-T: tell the line, and begin anew
            terminal.read_until(f"<{completed}>")
        terminal.write("ai-trace \t")
        terminal.read_until("what a step knew: where each value came from")


class _Terminal:
    """A program on a terminal of its own."""

    def __init__(self, command: list[str], folder: Path, env: dict[str, str]) -> None:
        import pty

        self._ours, theirs = pty.openpty()
        self._process = subprocess.Popen(
            command, cwd=folder, env=env, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)

    def __enter__(self) -> _Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._ours)

    def write(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def read_until(self, text: str) -> None:
        """Until *text* is on the screen; all that came before it is forgotten."""
        seen, end = "", time.monotonic() + 120
        while text not in seen:
            assert time.monotonic() < end, seen
            if select.select([self._ours], [], [], 1)[0]:
                seen += os.read(self._ours, 65536).decode(errors="replace")


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
    assert any("µs to the kernel" in finding["found"] for finding in told["findings"])
    assert [] == list(tmp_path.iterdir())


def test_a_file_in_place_of_the_folder_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line says what is wrong and what to do."""
    (tmp_path / "file").write_text("")
    assert 1 == main(["doctor", "--dir", str(tmp_path / "file" / "traces")])
    assert f"{tmp_path / 'file'} is not a folder: choose another" in capsys.readouterr().out


@pytest.mark.skipif(sys.platform == "win32", reason="links and lengths of Unix")
@pytest.mark.parametrize("kind", ["circle", "dangling", "long"])
def test_a_folder_that_can_never_be_is_named(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a tracer refuses, the doctor does not call well."""
    place = tmp_path / ("x" * 300 if kind == "long" else "traces")
    if kind != "long":
        place.symlink_to(place if kind == "circle" else tmp_path / "nowhere")
    assert 1 == main(["doctor", "--dir", str(place)])
    assert "choose another" in capsys.readouterr().out


@pytest.mark.parametrize("setting", ["TRACEPARENT=00-abc", "AI_TRACE_ON_ERROR=ignore"])
def test_a_setting_without_effect_is_named(
    setting: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A recorder ignores it without a word; the doctor does not."""
    monkeypatch.setenv(*setting.split("=", 1))
    assert 1 == main(["doctor", "--dir", str(tmp_path)])
    assert f"{setting.split('=')[0]} has no effect" in capsys.readouterr().out


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
