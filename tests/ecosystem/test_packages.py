"""Wheel and source archive, built and tried away from the tree: what is in them, and that it works.

Needs: pip install build "setuptools>=77" (no network is asked: the build is not isolated)
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from importlib import metadata
from pathlib import Path

import pytest

from tests.children import ROOT

for needed in ("build", "setuptools"):  # by its metadata: a folder `build`, which pip may leave here, can be imported
    if not [*metadata.distributions(name=needed)]:
        pytest.skip(f"needs {needed}", allow_module_level=True)

SOURCES = ("ai_trace", "examples", "tests")


def call(*words: str | Path, cwd: Path) -> str:
    """What a program says, away from the tree: nothing of ours is on its path."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("AI_TRACE", "PYTHONPATH", "TRACEPARENT"))}
    done = subprocess.run(
        [str(word) for word in words], cwd=cwd, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


def files_in(folder: Path) -> set[str]:
    """The files of the sources below *folder*, as paths within it, without what Python leaves behind."""
    return {
        str(file.relative_to(folder).as_posix())
        for name in SOURCES
        for file in (folder / name).rglob("*")
        if file.is_file() and file.suffix != ".pyc"
    }


@pytest.fixture(name="built", scope="module")
def fixture_built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both, built from a copy: a build leaves files in its tree."""
    place = tmp_path_factory.mktemp("built")
    shutil.copytree(ROOT, place / "tree", ignore=shutil.ignore_patterns(".git", "__pycache__", "*.egg-info", "build", "traces"))
    call(sys.executable, "-m", "build", "--no-isolation", "--outdir", place / "dist", place / "tree", cwd=place)
    return place / "dist"


@pytest.fixture(name="unpacked", scope="module")
def fixture_unpacked(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        archive.extractall(place, filter="data")
    (folder,) = place.iterdir()
    return folder


def test_the_wheel_holds_the_package_and_nothing_else(built: Path) -> None:
    """Every file of the package, `py.typed` and those of the HTML page among them; licence and entry points."""
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        names = set(wheel.namelist())
        (card,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        about = Parser().parsestr(wheel.read(card).decode())
        entries = wheel.read(card.replace("METADATA", "entry_points.txt")).decode()

    assert {name for name in files_in(Path(ROOT)) if name.startswith("ai_trace/")} == {
        name for name in names if ".dist-info/" not in name
    }
    assert {"ai_trace/py.typed", "ai_trace/render/page/report.js"} < names
    assert ("MIT", ">=3.10", ["LICENSE"]) == (about["License-Expression"], about["Requires-Python"], about.get_all("License-File"))
    assert {f"Programming Language :: Python :: 3.{n}" for n in (10, 11, 12, 13)} <= set(about.get_all("Classifier", []))
    assert [] == [line for line in about.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert "ai-trace = ai_trace.cli:main" in entries and "[pytest11]" in entries


def test_the_wheel_works_where_it_is_installed(built: Path, tmp_path: Path) -> None:
    """Into an empty environment, without a network: the command, the recorder, the page, the types."""
    call(sys.executable, "-m", "venv", tmp_path / "venv", cwd=tmp_path)
    programs = tmp_path / "venv" / ("Scripts" if sys.platform == "win32" else "bin")
    wheel = next(built.glob("*.whl"))
    call(programs / "python", "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", wheel, cwd=tmp_path)
    record = "import ai_trace\nwith ai_trace.Tracer('installed') as t, t.step('decide', x=1): pass\nprint(ai_trace.__file__)"

    assert str(tmp_path) in call(programs / "python", "-W", "error", "-c", record, cwd=tmp_path)
    assert "flight recorder" in call(programs / "ai-trace", "--help", cwd=tmp_path)
    assert "decide" in call(programs / "ai-trace", "view", cwd=tmp_path)
    assert "<script>" in call(programs / "ai-trace", "report", "-o", "-", cwd=tmp_path)


def test_the_source_archive_is_the_whole_tree(unpacked: Path) -> None:
    """Sources, examples, tests with their data, the licence and the change log."""
    assert files_in(Path(ROOT)) <= files_in(unpacked)
    for name in ("README.md", "CHANGELOG.md", "LICENSE", "pyproject.toml", ".ci/run"):
        assert (unpacked / name).read_bytes() == Path(ROOT, name).read_bytes()


def test_the_readmes_first_command_and_the_tests_run_from_the_source_archive(unpacked: Path, tmp_path: Path) -> None:
    """As somebody does who takes the archive in place of a clone."""
    assert "postmortem" in call(sys.executable, "-m", "examples.code_review", cwd=unpacked).lower()
    tests = ["tests/test_layers.py", "tests/test_exports.py", "tests/test_reading_damaged_files.py"]
    assert "passed" in call(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests, cwd=unpacked)
