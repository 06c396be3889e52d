"""`ai-trace scan`: secrets in stored files are found and placed, and never shown."""

from __future__ import annotations

import json
import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from ai_trace import Tracer, leaks
from ai_trace.redact import DEFAULT_RULES, Redactor
from tests.cli_world import World, call, step

# Parts, so that no scanner of source code takes this file for a leak.
GITHUB = "ghp_" + "0123456789abcdefghij0123456789abcdef"
OPENAI = "sk-proj-" + "Abcd1234" * 5
PASSWORD = "hunter2-Tr0ub4dor"
PEM = "\n".join(
    ("-----BEGIN RSA " + "PRIVATE KEY-----", *["MIIEpAIBAAKCAQEA7bq98Yv0c3n2n8q4u7x1z5w6e9r8t7y6u5i4o3p2"] * 4,
     "-----END RSA " + "PRIVATE KEY-----")
)  # fmt: skip
SECRETS = (GITHUB, OPENAI, PASSWORD, PEM.splitlines()[1])


@pytest.fixture(name="world")
def fixture_world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "traces")
    yield world
    world.release()


def _found(path: Path) -> list[tuple[str, str, int]]:
    return [(one.rule, one.where, one.times) for one in leaks.leaks(str(path), Redactor())]


def test_what_where_and_how_many_never_the_secret(world: World) -> None:
    """A journal written without masks: each secret with file, line, byte, kind and keys, for people and programs."""
    bad = {"headers": [{"Authorization": PASSWORD}], "note": f"use {GITHUB} or {GITHUB[:-1]}e", "api_key": {"a": 1}}
    path = world.session(steps=[step("fine"), step("call", context=bad, logs=[{"_t": 1.0, "message": OPENAI}])])

    done = world.call("scan")
    assert 1 == done.code
    assert not any(secret in done.out + done.err for secret in SECRETS)
    document = world.call("scan", "--json").out
    assert not any(secret in document for secret in SECRETS)
    found = json.loads(document)
    assert {
        ("by name", "context.headers.0.Authorization", 1), ("github", "context.note", 2),
        ("by name", "context.api_key", 1), ("openai", "logs.0.message", 1),
    } == {(one["rule"], one["where"], one["times"]) for one in found["leaks"]}  # fmt: skip
    raw = path.read_bytes()
    for one in found["leaks"]:
        assert (str(path), 2) == (one["path"], one["line"])
        starts = {"github": b"use ghp", "openai": b"sk-proj"}.get(one["rule"], (b"hunter2", b"api_key"))
        assert raw[one["byte"] :].startswith(starts), one
        assert f"{path}:2  byte {one['byte']:,}  {one['what']}" in done.out
    assert 5 == sum(row["times"] for row in found["totals"])
    assert "5 secrets in 1 file" in done.err


def test_what_the_recorder_masked_is_clean(tmp_path: Path) -> None:
    """Our own files hold no secret by our own rules: journal, black box, snapshot and postmortem."""
    tracer = Tracer("bot", tmp_path / "traces", meta={"token": PASSWORD})
    with tracer.step("call", password=PASSWORD, text=f"key {OPENAI} {PEM}") as one:
        one.log(f"Authorization: Bearer {GITHUB}", cookie={"sid": GITHUB})
        tracer.save()
        tracer.save_markdown()
        done = call("--dir", str(tmp_path / "traces"), "scan")
    tracer.close()
    assert (0, "") == (done.code, done.out), done.out
    assert "no secret found in" in done.err


@pytest.mark.parametrize(
    "name, text, expected",
    [
        (".env", f"HOME=/root\nAPI_KEY={PASSWORD}\n", [(2, 19)]),
        ("run.log", f"é started\n[INFO] é token {GITHUB} taken\n", [(2, 27)]),
        ("id_rsa", f"a file\n{PEM}\n", [(2, 7)]),
        ("config.json", f'{{\n  "port": 80,\n  "db_password": "{PASSWORD}"\n}}\n', [(3, 34)]),
        ("notes.md", f"# Notes\n\nuse `{OPENAI}`\n\nand\n\n{GITHUB}", [(3, 14), (7, None)]),
        ("list.jsonl", f'[1, "{GITHUB}"]\n{{"a": "{GITHUB}"}}\n', [(1, 5), (2, None)]),
        ("repr.txt", f"{{'password': '{PASSWORD}', 'x': 1}}", [(1, 14)]),
    ],
)
def test_any_text_is_looked_through(
    tmp_path: Path, name: str, text: str, expected: list[tuple[int, int | None]]
) -> None:
    """Environment files, logs, keys of many lines, JSON laid out for people, Markdown: the right line and byte."""
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    found = list(leaks.leaks(str(path), Redactor()))
    assert [line for line, _ in expected] == [one.line for one in found], found
    assert [byte for _, byte in expected if byte is not None] == [
        one.byte for one, (_, byte) in zip(found, expected) if byte is not None
    ]
    assert 1 == call("scan", str(path)).code


@pytest.mark.parametrize("shape", DEFAULT_RULES.shapes, ids=lambda shape: shape.name)
def test_every_kind_has_words(shape: object) -> None:
    """What is found is told in words, not by the name of a rule alone."""
    assert getattr(shape, "what")


def test_secrets_at_the_edges_of_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever a long line or a long text is cut to keep memory small, no secret is cut with it."""
    monkeypatch.setattr(leaks, "MAX_PARSED", 2000)
    monkeypatch.setattr(leaks, "BLOCK", 1024)
    monkeypatch.setattr(leaks, "_TEXT", 1500)
    for shift in range(1800, 2100, 6):
        path = tmp_path / f"{shift}.txt"
        lines = f"{'line ' * 10}\n" * (shift // 6 % 50)
        path.write_text("x " * (shift // 2) + f" {GITHUB} " + f"{'y ' * 1500}\n{lines}{PEM}")
        assert ["github", "pem"] == [rule for rule, _, _ in _found(path)], shift


def test_folders_are_searched_and_links_are_not_followed(tmp_path: Path) -> None:
    """Files at any depth, in order; a link in a circle, a FIFO and a binary are no trouble; archives are told."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "x.txt").write_text(GITHUB)
    (tmp_path / "z.bin").write_bytes(b"\x00\x01" + GITHUB.encode())
    (tmp_path / "old.zst").write_bytes(b"(\xb5/\xfd\x04")
    (tmp_path / "empty").write_bytes(b"")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        os.symlink(tmp_path, tmp_path / "a" / "circle")
    done = call("scan", str(tmp_path))
    assert (1, 1) == (done.code, len(done.out.splitlines()))
    assert "Zstandard" in done.err and "binary" in done.err and "2 files not looked into" in done.err


def test_a_damaged_trace_is_looked_through_all_the_same(tmp_path: Path) -> None:
    """NUL bytes, torn lines and bytes that are no UTF-8 hide nothing."""
    path = tmp_path / "bot.jsonl"
    path.write_bytes(b'{"name":"a"' + bytes(600) + b"\n\xff\xfe " + GITHUB.encode() + b'\n{"torn": "' + OPENAI.encode())
    assert ["github", "openai"] == [rule for rule, _, _ in _found(path)]
    assert 1 == call("scan", str(path)).code


def test_what_cannot_be_read_is_a_failure(tmp_path: Path) -> None:
    """A missing file, a missing folder: said, exit code 1; what else was named is searched."""
    good = tmp_path / "good.txt"
    good.write_text("nothing here\n")
    done = call("scan", str(good), str(tmp_path / "none.txt"))
    assert (1, "") == done[:2] and "none.txt" in done.err and "1 file" in done.err
    assert 1 == call("--dir", str(tmp_path / "none"), "scan").code


def test_keys_that_are_secrets_are_masked_too(tmp_path: Path) -> None:
    """The way to a value may lead over a secret; and no escape of a file reaches the terminal."""
    path = tmp_path / "x.jsonl"
    path.write_text(json.dumps({f"by {GITHUB}": {"password": PASSWORD}, "\x1b[31m": {"token": "abcd1234efgh"}}))
    done = call("scan", str(path))
    assert 3 == len(done.out.splitlines())
    assert GITHUB not in done.out and "\x1b" not in done.out and "redacted:github" in done.out


def test_memory_is_bounded_by_a_line_not_by_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of many lines, and one line longer than is parsed, need the same little memory."""
    monkeypatch.setattr(leaks, "MAX_PARSED", 1 << 20)
    path = tmp_path / "big.jsonl"
    row = json.dumps({"name": "a", "text": "word " * 400}).encode() + b"\n"
    path.write_bytes(row * 4000 + b'{"one":"' + b"word " * 1_600_000 + b'"}\n')
    tracemalloc.start()
    try:
        assert [] == _found(path)
        assert tracemalloc.get_traced_memory()[1] < path.stat().st_size
    finally:
        tracemalloc.stop()


def test_standard_input_is_looked_through(tmp_path: Path) -> None:
    """`-` is what was piped in, and is called so; a file of that name is ./-."""
    done = call("--dir", str(tmp_path), "scan", "-", "-", stdin=f"one\nuse {GITHUB}\n".encode())

    assert (1, 1) == (done.code, len(done.out.splitlines()))
    assert done.out.startswith("-:2 ") and GITHUB not in done.out + done.err
    assert 0 == call("--dir", str(tmp_path), "scan", "-", stdin=b"").code


def test_a_file_met_twice_is_told_once(tmp_path: Path) -> None:
    """Named, and in a folder that is named, too."""
    path = tmp_path / "agent.py"
    path.write_text(f"key = '{GITHUB}'\n")

    done = call("scan", str(path), str(tmp_path), f"{tmp_path}/./agent.py")
    assert 1 == len(done.out.splitlines()) and "1 secret in 1 file" in done.err
