"""Every code point there is, in every place of a trace, through every command: none that acts comes out.

The commands of the core are run on sessions whose names, outcomes, errors, logs, keys, models, threads, agents
and file names are made of all of Unicode; sampled here by its dangerous corners, whole in the gauntlet.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli_world import START, World, step
from tests.test_terminal_text_is_safe import HIDING, _forbidden

WHOLE = bool(os.environ.get("EVERY_CODE_POINT"))
BLOCK = 2048

COMMANDS = [
    "list", "list --json", "view", "view --full", "view --errors", "view --json", "view --jsonl",
    "tail --no-follow -n 99", "tail --no-follow --full -n 99", "stats", "stats --by model", "stats --json",
    "verify", "scan", "at LAST 0", "diff LAST OTHER", "repair LAST --dry-run", "search a",
]  # fmt: skip


def _blocks() -> Iterator[str]:
    points = range(0x110000) if WHOLE else sorted({*range(0x3000), *HIDING, *range(0xFE00, 0x10000), 0x10FFFF, 0xE0001})
    text = [chr(point) for point in points]
    for start in range(0, len(text), BLOCK):
        yield "".join(text[start : start + BLOCK])


def _session(world: World, block: str, id: str) -> Path:
    """Each place holds the block, in pieces where a place is short."""
    short = [block[n : n + 64] for n in range(0, len(block), 64)]
    rows = [
        step(
            f"a{piece}", "error" if n % 2 else f"o{piece}", started_at=START + n, error=f"e{piece}",
            context={f"k{piece}": f"v{piece}", "deep": [{piece: [piece]}]},
            logs=[{"_t": START, "message": piece, piece: piece}], usage={"model": f"m{piece}", "input_tokens": 1},
            traceback=f"T\n{piece}\nE: {piece}", thread=f"t{piece}", task=f"k{piece}", notice=[piece],
            dropped={f"r{piece}": 1},
        )
        for n, piece in enumerate(short)
    ]  # fmt: skip
    return world.session(id=id, steps=rows, meta={short[0]: short[-1]})


def test_no_code_point_acts_in_any_column_of_any_command(tmp_path: Path) -> None:
    """Nothing that moves, reorders, hides or is not assigned is printed, but the newline and the tab."""
    from ai_trace.cli import COMMANDS as known

    world = World(tmp_path / "traces")
    for number, block in enumerate(_blocks()):
        names = {}
        for word, id in (("LAST", "20260225_061320"), ("OTHER", "20260225_061321")):
            names[word] = str(_session(world, block if word == "LAST" else block[::-1], id))
        for command in COMMANDS if number == 0 or WHOLE else COMMANDS[:14]:
            words = [names.get(word, word) for word in command.split()]
            if words[0] not in known:
                continue
            done = world.call(*words)
            assert done.code in (0, 1), f"{command}: {done.err[:500]!a}"
            bad = {ch for ch in set(done.out + done.err) - {"\n", "\t"} if _forbidden(ch)}
            assert not bad, f"{command}: {sorted(map(ascii, bad))[:20]}"
            assert "Traceback (most" not in done.err, command


@pytest.mark.skipif(os.name == "nt", reason="names that Windows does not allow")
def test_no_code_point_of_a_file_name_acts(tmp_path: Path) -> None:
    """Somebody may put a file of any name into the folder; it is listed, escaped."""
    world = World(tmp_path / "traces")
    points = [*range(1, 0x2F), *range(0x30, 0xA1), 0xAD, 0x61C, 0x202E, 0x2066, 0x200B, 0xFEFF, 0xE0041]
    for n, point in enumerate(points):
        made = world.session(id=f"20260225_{n:06d}", steps=[step("x")])
        made.rename(made.with_name(f"a{chr(point)}b_20260225_{n:06d}.jsonl"))
    (world.path / os.fsdecode(b"raw\xff\x1b[2J_20260225_061320.jsonl")).write_bytes(b"{}\n")
    for words in (["list"], ["list", "--json"], ["stats"], ["verify"], ["tail", "--no-follow"]):
        done = world.call(*words)
        bad = {ch for ch in set(done.out + done.err) - {"\n", "\t"} if _forbidden(ch)}
        assert not bad, (words, sorted(map(ascii, bad)))


def test_arguments_are_escaped_when_they_are_spoken_of(tmp_path: Path) -> None:
    """What the user pasted is shown by messages, not obeyed."""
    world = World(tmp_path / "traces")
    world.session()
    for word in ("\x1b[2J", "a\rb", "\u202egnp", "\x9b31m", "--\x07", "x\x00y"):
        for words in ([word], ["view", word], ["list", f"--{word}"], ["stats", "--since", word]):
            done = world.call(*words)
            assert not {ch for ch in set(done.out + done.err) - {"\n", "\t"} if _forbidden(ch)}, words
            assert not re.search("Traceback", done.err)
