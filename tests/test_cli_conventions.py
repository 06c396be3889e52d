"""What every command keeps: exit codes, streams, folders, names of sessions, colours, pipes, Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ai_trace import cli
from ai_trace.cli import times
from tests.cli_world import START, World, call, command, environment, spawn, step

COMMANDS = ("list", "view", "at", "diff", "report", "serve", "tail", "stats", "save", "export")
READING = (["list"], ["view"], ["tail", "--no-follow"], ["stats"])
NASTY = "Zürich 日本 \U0001f680 \udc80 ✔"
unix = pytest.mark.skipif(sys.platform == "win32", reason="signals, pipes and terminals of Unix")


@pytest.fixture(name="world")
def fixture_world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "traces")
    yield world
    world.release()


@pytest.fixture(name="rich")
def fixture_rich(world: World) -> World:
    """A session with an error, a traceback, wide characters and much text."""
    world.session(
        steps=[
            step("plan", id="a" * 16, context={"city": NASTY, "prompt": "word " * 400}, duration_ms=900),
            step(
                "fetch",
                "error",
                parent="a" * 16,
                error=f"ValueError: {NASTY}",
                logs=[{"_t": START, "message": NASTY}],
                traceback='Traceback (most recent call last):\n  File "x.py", line 1\nValueError: no\n',
            ),
            *(step(f"more {n}", started_at=START + n) for n in range(30)),
        ]
    )
    return world


# Words and exit codes


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_with_examples(name: str) -> None:
    """`-h` after a command prints its options and examples on standard output, exit code 0."""
    done = call(name, "-h")

    assert (0, "") == (done.code, done.err)
    assert f"ai-trace {name}" in done.out.splitlines()[0]
    assert "examples:" in done.out and f"  ai-trace {name}" in done.out and "--dir" in done.out
    assert done.out == call("help", name).out


def test_help_and_version() -> None:
    """`-h` lists every command, once, in a column; `-V` prints the version; also behind a command."""
    helped = call("--help")
    assert 0 == helped.code
    listed = re.findall(r"^  ([a-z]+)( +)[a-z]", helped.out, re.M)
    assert sorted(cli.COMMANDS) == sorted(name for name, _ in listed)
    assert 1 == len({len(name + gap) for name, gap in listed})
    for words in (["-V"], ["--version"], ["list", "-V"]):
        assert re.fullmatch(r"ai-trace \d+\.\d+\.\d+\n", call(*words).out)


def test_no_command_is_a_usage_error() -> None:
    """`ai-trace` alone prints the help, on standard error, and exits with 2."""
    done = call()
    assert (2, "") == done[:2]
    assert "\nlook:\n  list " in done.err


@pytest.mark.parametrize(
    "words, says",
    [
        (["lst"], "Did you mean 'list'?"),
        (["frobnicate"], "The commands are"),
        (["list", "--nope"], "--nope"),
        (["list", "-n", "x"], "not a whole number"),
        (["list", "--since", "soon"], "write 10m"),
        (["view", "--grep", "("], "not a regular expression"),
        (["list", "--color", "red"], "always"),
        (["list", "--since", "2026-02-30"], "no date"),
        (["--nope", "list"], "--nope"),
        (["list", "--stat", "died"], "--stat"),
    ],
)
def test_wrong_usage_is_exit_code_2(words: list[str], says: str) -> None:
    """What cannot be understood is said in a sentence on standard error that shows what would be right."""
    done = call(*words)
    assert (2, "") == done[:2]
    assert says in done.err


def test_what_was_typed_is_safe_in_messages(world: World) -> None:
    """Escapes in arguments do not reach the terminal through an error message."""
    world.session()
    for words in (
        ["\x1b[31m"],
        ["list", "\x1b[31m"],
        ["list", "-n", "\x1b[31m"],
        ["view", "\x1b]0;x\x07"],
        ["view", "--grep", "(\x1b"],
        ["list", "--\x1b"],
        ["save", "\x9b"],
        ["list", "--agent", "\x1b"],
    ):
        done = world.call(*words)
        assert not {"\x1b", "\x07", "\x9b"} & set(done.out + done.err), words


# Folders and names of sessions


def test_the_folder_before_after_and_from_the_environment(rich: World) -> None:
    """--dir stands before or after the command; the option wins over AI_TRACE_DIR."""
    here = str(rich.path)
    listed = rich.call("list", "-q").out
    assert "trader_20260225_061320\n" == listed
    assert listed == call("list", "-q", "--dir", here).out == call(f"--dir={here}", "list", "-q").out
    assert listed == call("list", "-q", AI_TRACE_DIR=here).out
    assert listed == call("list", "-q", "--dir", here, AI_TRACE_DIR="/nowhere").out


def test_a_missing_folder_is_failure_but_for_list(world: World) -> None:
    """There is nothing to view, count or save: exit code 1 and a sentence, nothing on standard output."""
    for words in (["view"], ["view", "x"], ["stats"], ["tail", "--no-follow"], ["save", "latest"]):
        done = world.call(*words)
        assert (1, "") == done[:2], words
        assert str(world.path) in done.err
    assert 0 == world.call("list").code


def test_a_file_for_a_folder_is_explained(rich: World) -> None:
    """--dir with a file names the command that shows a file."""
    file = next(rich.path.iterdir())
    done = call("list", "--dir", str(file))
    assert 1 == done.code and f"ai-trace view {file}" in done.err


@pytest.fixture(name="several")
def fixture_several(world: World) -> World:
    world.session("scout", "20260225_061320", [step("first")], start=START)
    world.session("trader", "20260225_061321", [step("second")], start=START + 1)
    world.session("trader", "20260226_061320", [step("third")], start=START + 86400)
    return world


@pytest.mark.parametrize(
    "word, name",
    [
        ("latest", "third"),
        ("@-1", "second"),
        ("@-2", "first"),
        ("@", "third"),
        ("scout", "first"),
        ("20260226", "third"),
        ("trader_20260225", "second"),
        ("20260225_061320", "first"),
        ("trader_20260226_061320", "third"),
        ("scout_20260225_061320.jsonl", "first"),
    ],
)
def test_a_session_by_name(several: World, word: str, name: str) -> None:
    """A unique beginning, a whole name, a file, `latest`, `@-1` (the one before): the same everywhere."""
    steps = [json.loads(one)["name"] for one in several.call("view", word, "--jsonl").out.splitlines()]
    assert [name] == steps
    assert [name] == [row["key"] for row in json.loads(several.call("stats", word, "--json").out)["groups"]]
    assert name in several.call("tail", word, "--no-follow").out


def test_a_session_by_path_from_anywhere(several: World, tmp_path: Path) -> None:
    """A path needs no folder."""
    path = str(several.path / "scout_20260225_061320.jsonl")
    done = call("view", path, "--jsonl", "--dir", str(tmp_path / "none"))
    assert (0, "first") == (done.code, json.loads(done.out)["name"])


def test_a_file_that_happens_to_be_called_so(
    several: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session's name wins over some file here with that name; a path means the file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scout").write_text("mine\n")
    assert 0 == several.call("view", "scout").code
    assert 1 == several.call("view", f".{os.sep}scout").code


def test_an_ambiguous_name_lists_its_candidates(several: World) -> None:
    """Where several sessions fit, they are listed on standard error, and nothing is shown."""
    done = several.call("view", "trader")
    assert (1, "") == done[:2]
    assert "trader_20260225_061321" in done.err and "trader_20260226_061320" in done.err
    assert "scout" not in done.err


@pytest.mark.parametrize("word", ["trade_20260226_061320", "tradr", "0226", "nothing like it"])
def test_a_wrong_name_suggests_the_nearest(several: World, word: str) -> None:
    """Where none fits, the nearest names are suggested."""
    done = several.call("view", word)
    assert (1, "") == done[:2]
    assert "trader_20260226_061320" in done.err


@pytest.mark.parametrize("word", ["*", "trader*", "?cout", "[s]cout", "@-9", "..", "../x", "\\", "a\x00b"])
def test_a_name_is_never_a_pattern(several: World, word: str) -> None:
    """Glob characters and odd paths mean themselves, and fit nothing."""
    done = several.call("view", word)
    assert (1, "") == done[:2]


# What a trace holds


def test_nothing_recorded_acts_on_the_terminal(world: World) -> None:
    """No control, bidi or invisible character of a trace passes, in any place, through any command.

    nginx CVE-2009-4487, Rack CVE-2022-30123, kubectl CVE-2021-25743: escapes in logs, `\\r` included.
    """
    points = [*range(0x20), *range(0x7F, 0xA0), 0xAD, 0x61C, *range(0x200B, 0x2010), *range(0x2028, 0x202F)]
    points += [
        *range(0x2060, 0x2070),
        0xFEFF,
        *range(0xFFF9, 0xFFFC),
        0xE0001,
        0xE0041,
        0xD800,
        0xDC80,
        0x10FFFF,
    ]
    rows = []
    for n, ch in enumerate(map(chr, points)):
        evil, more = f"a{ch}[31mb", {"traceback": f"Traceback{ch}\n  x{ch}\nE: {ch}", "thread": f"t{ch}"}
        usage, logs = {"model": evil, "input_tokens": 1}, [{"_t": START, "message": evil, evil: evil}]
        rows.append(
            step(
                evil,
                evil,
                started_at=START + n,
                error=evil,
                context={evil: evil},
                usage=usage,
                logs=logs,
                **more,
            )
        )
        rows.append(step(evil, "error", started_at=START + n, context={"deep": [{evil: [evil]}]}))
    world.session(steps=rows, meta={"\x1b]0;x\x07": "\x9b\r"})

    forbidden = set(map(chr, points)) - {"\n", "\t"}
    for words in (
        "list", "stats", "stats --by model", "stats --json", "view", "view --full", "view --md",
        "view --errors", "view --step 0", "view --json", "view --jsonl",
        "tail --no-follow -n 999", "tail --no-follow --full",
    ):  # fmt: skip
        done = world.call(*words.split())
        assert set() == forbidden & set(done.out + done.err), words
        assert done.out or done.err


# Colours


@pytest.mark.parametrize(
    "words, variables, colored",
    [
        ([], {}, False),
        (["--color", "always"], {}, True),
        (["--color", "always"], {"NO_COLOR": "1"}, True),
        ([], {"FORCE_COLOR": "1"}, True),
        ([], {"FORCE_COLOR": "0"}, False),
        ([], {"FORCE_COLOR": ""}, False),
        ([], {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        (["--color", "never"], {"FORCE_COLOR": "1"}, False),
        ([], {"FORCE_COLOR": "1", "TERM": "dumb"}, True),
    ],
)
@pytest.mark.parametrize("name", READING, ids=lambda words: words[0])
def test_colours_into_a_pipe(
    rich: World, name: list[str], words: list[str], variables: dict[str, str], colored: bool
) -> None:
    """Without a terminal there are no colours, unless asked for by --color or FORCE_COLOR; --color wins."""
    done = rich.call(*name, *words, **variables)
    assert (0, colored) == (done.code, "\x1b[" in done.out)
    assert "\x1b" not in done.err


@pytest.mark.parametrize("name", READING, ids=lambda words: words[0])
def test_colours_alone_differ(rich: World, name: list[str]) -> None:
    """Nothing is told by colour alone: without the escapes the text is the same, and each is reset."""
    plain, colored = rich.call(*name).out, rich.call(*name, "--color", "always").out
    assert plain == re.sub(r"\x1b\[[0-9;]*m", "", colored)
    for row in colored.splitlines():
        codes = re.findall(r"\x1b\[([0-9;]*)m", row)
        assert not codes or codes[-1] in ("0", "")


@pytest.mark.parametrize(
    "words",
    [
        ["list", "--json"],
        ["list", "--jsonl"],
        ["view", "--json"],
        ["view", "--jsonl"],
        ["stats", "--json"],
        ["tail", "--json", "--no-follow"],
    ],
    ids=" ".join,
)
def test_json_is_strict_ascii_and_never_coloured(rich: World, words: list[str]) -> None:
    """Even with --color always: JSON as RFC 8259 has it, safe for every terminal and code page."""
    out = rich.call(*words, "--color", "always").out
    assert out.isascii() and "\x1b" not in out

    def refuse(name: str) -> None:
        raise AssertionError(name)

    texts = out.splitlines() if words[1] == "--jsonl" or words[0] == "tail" else [out]
    assert [] != [json.loads(text, parse_constant=refuse) for text in texts]


# Encodings, pipes, disks, signals: in processes of their own


@pytest.mark.parametrize(
    "variables, encoding, flags",
    [
        ({"PYTHONIOENCODING": "ascii"}, "ascii", ()),
        ({"PYTHONIOENCODING": "cp1252"}, "cp1252", ()),
        ({"PYTHONIOENCODING": "cp950:strict"}, "cp950", ()),
        ({"PYTHONUTF8": "1"}, "utf-8", ("-W", "error", "-bb", "-OO")),
    ],
    ids=["ascii", "cp1252", "cp950", "utf-8"],
)
def test_any_encoding_of_the_streams(
    rich: World, variables: dict[str, str], encoding: str, flags: tuple[str, ...]
) -> None:
    """A terminal that cannot show a character gets an escape or an ASCII sign, never a traceback."""
    for words in READING:
        done = spawn("--dir", str(rich.path), *words, variables=variables, flags=flags)
        assert (0, b"") == (done.returncode, done.stderr), words
        assert done.stdout.decode(encoding)
    wrong = spawn("--dir", str(rich.path), "view", "日本 \U0001f680", variables=variables, flags=flags)
    assert 1 == wrong.returncode and b"Traceback" not in wrong.stderr


@unix
@pytest.mark.parametrize("words", READING, ids=lambda words: words[0])
def test_a_reader_that_leaves_is_no_trouble(rich: World, words: list[str]) -> None:
    """`ai-trace view | head -1`: quiet, exit code 141 (or 0 where all was written before)."""
    reading, writing = os.pipe()
    os.close(reading)
    done = spawn("--dir", str(rich.path), *words, "--color", "always", stdout=writing)
    os.close(writing)
    assert (141, b"") == (done.returncode, done.stderr)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize("words", [*READING, ["list", "-h"], ["-V"]], ids=lambda words: words[0])
def test_a_full_disk_is_a_sentence(rich: World, words: list[str]) -> None:
    """Output that cannot be written is exit code 1 and a sentence, no traceback."""
    with open("/dev/full", "wb") as full:
        done = spawn("--dir", str(rich.path), *words, stdout=full)
    assert 1 == done.returncode
    assert b"ai-trace: cannot write to standard output: No space left on device\n" == done.stderr


@unix
@pytest.mark.parametrize("words", READING, ids=lambda words: words[0])
def test_closed_streams(rich: World, words: list[str]) -> None:
    """A closed standard output is a sentence and exit code 1; a closed standard error is nothing at all."""

    def shell(redirect: str) -> subprocess.CompletedProcess[bytes]:
        script = f'exec "$@" {redirect}'
        return subprocess.run(
            ["sh", "-c", script, "sh", *command("--dir", str(rich.path), *words)],
            capture_output=True,
            env=environment(),
            timeout=600,
        )

    closed = shell(">&-")
    assert (1, b"ai-trace: standard output is closed\n") == (closed.returncode, closed.stderr)
    assert 0 == shell("2>&-").returncode


@unix
def test_ctrl_c_ends_with_130(world: World) -> None:
    """Ctrl-C in a waiting command: exit code 130, colours reset, no traceback."""
    world.session()
    process = subprocess.Popen(
        command("--dir", str(world.path), "tail", "--color", "always"),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.readline()  # it has begun
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=600)
    assert 130 == process.returncode
    assert b"Traceback" not in err
    assert out.endswith(b"\x1b[0m")


def test_starting_is_cheap() -> None:
    """Each command loads its own file, and none of the modules whose import a person would feel."""
    code = (
        "import sys; from ai_trace.cli import main\n"
        "code = main(['--dir', sys.argv[1], *sys.argv[2:]])\n"
        "heavy = {'dataclasses', 'inspect', 'asyncio', 'pathlib', 'logging', 'tempfile', 'subprocess',\n"
        "         'difflib', 'datetime', 'decimal', 'html', 'shutil',\n"
        "         'ai_trace.cli.view', 'ai_trace.cli.tail', 'ai_trace.cli.stats'}\n"
        "print(*sorted(heavy & set(sys.modules)), code, file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code, os.devnull + "-none", "list", "--json"],
        capture_output=True,
        env=environment(),
        timeout=600,
    )
    assert (b"[]\n", b"0\n") == (done.stdout, done.stderr)


# Times


@pytest.mark.parametrize(
    "text, expected",
    [
        ("2026-02-25T06:13:20Z", START),
        ("2026-02-25 06:13:20z", START),
        ("2026-02-25T07:13:20+01:00", START),
        ("2026-02-25T01:13:20-0500", START),
        ("2026-02-25T06:13:20.5Z", START + 0.5),
        ("2026-02-25T06:13Z", START - 20),
        ("2026-02-25Z", START - 22400),
    ],
)
def test_dates(text: str, expected: float) -> None:
    """RFC 3339 and its short forms."""
    assert expected == times.parse(text)


def test_a_date_without_offset_is_local(monkeypatch: pytest.MonkeyPatch) -> None:
    """Noon is noon where the person is, daylight saving included."""
    if not hasattr(time, "tzset"):
        pytest.skip("no tzset here")
    try:
        for zone, offset in (("UTC0", 0), ("CET-1CEST,M3.5.0,M10.5.0/3", 2), ("EST5EDT,M3.2.0,M11.1.0", -4)):
            monkeypatch.setenv("TZ", zone)
            time.tzset()
            assert times.parse("2026-07-01T12:00:00Z") == times.parse("2026-07-01 12:00") + offset * 3600
    finally:
        monkeypatch.undo()
        time.tzset()


def test_spans() -> None:
    """10m, 2h, 3d mean that long ago, and may be joined."""
    for text, seconds in (
        ("90s", 90),
        ("10m", 600),
        ("2h", 7200),
        ("3d", 259200),
        ("1w", 604800),
        ("1h30m", 5400),
        ("1.5h", 5400),
    ):
        before, found, after = times.now(), times.parse(text), times.now()
        assert before - 0.001 <= found + seconds <= after + 0.001
    for text in (
        "",
        "m",
        "10",
        "-5m",
        "5 m",
        "2026",
        "2026-13-01",
        "2026-02-30",
        "25:00",
        "0000-01-01",
        "9" * 30 + "m",
    ):
        with pytest.raises(ValueError, match="no time|no date"):
            times.parse(text)


@pytest.mark.parametrize(
    "gap, said",
    [
        (0, "now"),
        (1.5, "1 s ago"),
        (59, "59 s ago"),
        (61, "1 m ago"),
        (3600, "1 h ago"),
        (90000, "1 d ago"),
        (-70, "in 1 m"),
    ],
)
def test_ago(gap: float, said: str) -> None:
    """One unit is enough; a time to come says so."""
    assert said == times.ago(START, START + gap)
