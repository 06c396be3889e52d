"""`import ai_trace` costs next to nothing and does nothing: no file, no thread, no socket, no output."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from tests.children import ROOT, environment, run

# Each of these costs milliseconds that an agent would pay before its first line, and the recorder needs none.
HEAVY = (
    "argparse", "asyncio", "concurrent.futures", "csv", "ctypes", "dataclasses", "datetime", "decimal",
    "difflib", "email", "fractions", "html", "http", "importlib.metadata", "inspect", "logging",
    "multiprocessing", "pathlib", "pickle", "random", "secrets", "selectors", "shutil", "signal",
    "socket", "sqlite3", "ssl", "subprocess", "tempfile", "textwrap", "traceback", "unittest", "urllib",
    "urllib.parse", "uuid", "xml",
)  # fmt: skip


def test_no_heavy_module_is_pulled_in() -> None:
    """What only some users need is imported where it is used."""
    code = "import sys; before = set(sys.modules); import ai_trace\nprint(*sorted(set(sys.modules) - before))"
    pulled = set(run(code, flags=("-S",)).stdout.split())
    assert sorted(pulled & set(HEAVY)) == []


def test_nothing_is_compiled_where_the_bytecode_is_cached(tmp_path: Path) -> None:
    """The first `compile()` of a process costs milliseconds; a NamedTuple whose annotations are texts calls it."""
    cached = environment(PYTHONPYCACHEPREFIX=str(tmp_path))
    cached.pop("PYTHONDONTWRITEBYTECODE", None)
    run("import ai_trace", env=cached, flags=("-S",))
    code = (
        "import sys\n"
        "def hook(event, args):\n"  # the lambda that each named tuple evaluates is cheap
        "    if event == 'compile' and not bytes(args[0] or b'').startswith(b'lambda'): print(args)\n"
        "sys.addaudithook(hook)\n"
        "import ai_trace\n"
    )
    assert run(code, env=cached, flags=("-S",)).stdout == ""


def test_importing_does_nothing_that_can_be_seen() -> None:
    """A process that imports us and never records has no thread, no file of ours, nothing on its streams."""
    code = (
        "import sys, threading, json, json.encoder\n"
        "seen = []\n"
        "def hook(event, args):\n"
        "    writes = event == 'open' and isinstance(args[1], str) and set(args[1]) & set('wax+')\n"
        "    acts = event.split('.')[0] in ('socket', 'subprocess', 'signal')\n"
        "    acts = acts or event in ('os.mkdir', 'os.fork', 'os.exec', 'os.system')\n"
        "    if writes or acts: seen.append((event, args))\n"
        "sys.dont_write_bytecode = True\n"
        "sys.addaudithook(hook)\n"
        "import ai_trace\n"
        "assert not seen, seen\n"
        "assert threading.active_count() == 1\n"
    )
    done = run(code)
    assert (done.stdout, done.stderr) == ("", "")


RECORD = (
    "import sys, ai_trace\n"
    "tracer = ai_trace.Tracer('agent', sys.argv[1])\n"
    "with tracer.step('one', x=1, raw=b'\\xff', text='\\udc80') as step:\n"
    "    step.log('said', y=2.5)\n"
    "try:\n"
    "    with tracer.step('two'): raise ValueError('boom')\n"
    "except ValueError: pass\n"
    "tracer.save(); tracer.save_markdown(); tracer.close()\n"
    "assert [s.name for s in ai_trace.load(tracer.path).steps] == ['one', 'two']\n"
)


@pytest.mark.parametrize(
    "flags",
    [
        (), ("-W", "error"), ("-bb", "-W", "error"), ("-O",), ("-OO",), ("-S",), ("-E", "-s"),
        ("-X", "dev", "-W", "error"), ("-X", "utf8"), ("-u",), ("-B",), ("-I",),
    ],
    ids=lambda flags: " ".join(flags) or "plain",
)  # fmt: skip
def test_recording_and_reading_work_under_every_flag(flags: tuple[str, ...], tmp_path: Path) -> None:
    """No warning, no assert that matters, no bytes mixed with text, no `site`: quiet under all of them."""
    here = f"import sys; sys.path.insert(0, {environment()['PYTHONPATH']!r})\n"
    done = run(here + RECORD, str(tmp_path), flags=flags)
    assert (done.stdout, done.stderr) == ("", "")


COMMANDS = (
    "import contextlib, io\n"
    "from ai_trace.cli import main\n"
    "for words in (['list'], ['view'], ['stats'], ['verify'], ['grep', 'said'], ['report', '-o', '-']):\n"
    "    with contextlib.redirect_stdout(io.StringIO()) as shown:\n"
    "        code = main(['--dir', sys.argv[1], *words])\n"
    "    assert code == 0 and shown.getvalue(), (words, code)\n"
)


@pytest.mark.parametrize(
    "module", ["sqlite3", "ssl", "zlib", "ctypes", "_multiprocessing", "fcntl", "curses", "readline", "pwd", "_json"]
)
def test_a_python_that_was_built_without_a_module_records_and_reads(module: str, tmp_path: Path) -> None:
    """Small containers and self-built Pythons lack some of the standard library."""
    code = f"import sys; sys.modules[{module!r}] = None\n{RECORD}{COMMANDS}"
    done = run(code, str(tmp_path), flags=("-W", "error"))
    assert (done.stdout, done.stderr) == ("", "")


def test_a_package_inside_a_zip_file_works(tmp_path: Path) -> None:
    """As a zipapp or a Lambda layer has it: recording, reading, and the files of the HTML page."""
    package = Path(ROOT, "ai_trace")
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as packed:
        for file in sorted(package.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                packed.write(file, file.relative_to(package.parent))
    here = f"import sys; sys.path.insert(0, {str(tmp_path / 'packed.zip')!r})\n"
    done = run(here + RECORD + "assert '.zip' in ai_trace.__file__\n" + COMMANDS, str(tmp_path / "traces"))
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_the_encoding_of_the_streams_does_not_matter(encoding: str, tmp_path: Path) -> None:
    """Files are UTF-8 whatever the terminal speaks."""
    run(RECORD, str(tmp_path), env=environment(PYTHONIOENCODING=encoding, LC_ALL="C"))


def test_without_standard_streams_and_without_a_home(tmp_path: Path) -> None:
    """A service without a console, without HOME and without a user name records as any other."""
    code = "import sys; sys.stdin = sys.stdout = sys.stderr = None\n" + RECORD
    env = {
        k: v for k, v in environment().items() if k in ("PYTHONPATH", "PATH", "LD_LIBRARY_PATH", "SYSTEMROOT")
    }
    run(code, str(tmp_path), env=env)


def test_recording_and_reading_open_no_socket_and_start_no_process(tmp_path: Path) -> None:
    """Nothing leaves the machine: the interpreter's own audit events say so."""
    hook = (
        "import sys\n"
        "def hook(event, args):\n"
        "    if event.split('.')[0] in ('socket', 'subprocess', 'urllib', 'http', 'ftplib', 'smtplib') \\\n"
        "            or event in ('os.fork', 'os.exec', 'os.posix_spawn', 'os.system', 'pty.spawn'):\n"
        "        print(event, args)\n"
        "sys.addaudithook(hook)\n"
    )
    assert run(hook + RECORD, str(tmp_path)).stdout == ""


def test_importing_again_leaves_no_empty_session(tmp_path: Path) -> None:
    """A module that builds its tracer at the top may be imported by every spawned worker: no file until
    a step.
    """
    code = (
        "import os, sys, ai_trace\n"
        "tracer = ai_trace.Tracer('agent', sys.argv[1] + '/traces')\n"
        "tracer.close()\n"
        "files = [f for _, _, names in os.walk(sys.argv[1]) for f in names]\n"
        "assert files == [], files\n"
    )
    run(code, str(tmp_path))
