"""An agent's name becomes part of a file name: in the folder, readable, the same on every system."""

from __future__ import annotations

import fnmatch
import os

import pytest

from ai_trace import safe
from tests.records import seeded

HOSTILE = {
    "../x": "_x",
    "../../etc/passwd": "_.._etc_passwd",
    "/abs": "_abs",
    "C:\\x": "C_x",
    "a\0b": "a_b",
    ".hidden": "_hidden",
    "-rf": "_rf",
    "": "agent",
    "CON": "_CON",
    "nul.txt": "_nul.txt",
    "com1": "_com1",
    "COM¹": "_COM1",
    "a:b": "a_b",
    "trailing. ": "trailing._",
    "trailing...": "trailing",
    "my agent": "my_agent",
    "line\nbreak\r\x1b[31m": "line_break_31m",
    "*?[x]{y}": "_x_y_",
    "bot 🤖": "bot_🤖",
    "日本語": "日本語",
    "שלום": "שלום",
    "．．／etc": "_etc",
    "a\u202egpj.exe": "a_gpj.exe",
    "\ud800x": "_x",
}
ODD = [
    ".", "..", "...", " ", "\0", "/", "///", "-", "_", "~", "\ud800",
    "x" * 1000, "é" * 500, "🤖" * 300, "." * 500,
]  # fmt: skip


@pytest.mark.parametrize("agent, expected", HOSTILE.items(), ids=ascii)
def test_a_hostile_name_becomes_a_readable_safe_one(agent: str, expected: str) -> None:
    """What can be read of the name stays; what a shell, a path or a system would act on does not."""
    assert expected == safe.file_name(agent)


@pytest.mark.parametrize("agent", ["trader", "my_agent-2", "Agent.v1", "_private", "a", "x" * 100])
def test_a_plain_name_stays_as_it_is(agent: str) -> None:
    """The older package wrote such names; its files and ours stand side by side."""
    assert agent == safe.file_name(agent)


@pytest.mark.parametrize("agent", [*HOSTILE, *ODD], ids=lambda agent: ascii(agent)[:40])
def test_every_name_stays_in_its_folder(agent: str, tmp_path: os.PathLike[str]) -> None:
    """A file of that name can be made, lies in the folder itself, is not hidden, and is no pattern."""
    _check(safe.file_name(agent))
    path = os.path.join(tmp_path, safe.file_name(agent) + "_20240301_134022.jsonl")
    with open(path, "x"):
        pass
    assert [os.path.basename(path)] == os.listdir(tmp_path)


def test_names_of_random_characters_are_safe() -> None:
    """Characters from all of Unicode, in any mixture, give a safe name, twice the same one."""
    random = seeded()
    special = "./\\:*?[]<>|\"'\0\n -~%$\u202e\u200d\ufe0f\u3164"
    for _ in range(1_000):
        length = random.choice((1, 3, 20, 200, 1500))
        any_point = (chr(random.randrange(0x110000)) for _ in range(length))
        agent = "".join(random.choice(special) if random.random() < 0.4 else ch for ch in any_point)
        _check(safe.file_name(agent))
        assert safe.file_name(agent) == safe.file_name(agent)


def test_long_names_that_differ_at_the_end_stay_different() -> None:
    """The cut is marked by a checksum of the whole name."""
    first, second = (safe.file_name("x" * 500 + end) for end in "ab")

    assert first != second


def test_a_file_system_without_unicode_gets_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where file names cannot hold a letter, the name has none of it, rather than the agent an error."""
    monkeypatch.setattr("sys.getfilesystemencoding", lambda: "iso8859-1")

    assert "caf_bot" == safe.file_name("café bot")
    assert safe.file_name("日本語").startswith("agent-")


def _check(name: str) -> None:
    assert 0 < len(name.encode()) <= 100
    assert not set(name) & set('/\\:*?[]{}<>|"\'\0\n\r\t $&;~`!')
    assert name[0] not in ".-" and name[-1] not in ". "
    assert all(ch.isprintable() for ch in name)
    assert name.split(".")[0].upper() not in {"CON", "PRN", "AUX", "NUL", "COM1", "LPT9"}
    assert fnmatch.fnmatchcase(name, name)
