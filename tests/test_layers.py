"""The rooms of the package import only downwards, and nothing from outside the standard library.

The table is the architecture: a new room needs a place here, on the lowest floor that its imports allow.
"""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Iterator

import pytest

from tests.children import ROOT

FLOORS = {
    0: ["exceptions", "patterns", "parse", "record", "clock", "disk", "safe"],
    1: [
        "arrays", "forms", "plain", "secret_rules", "secret_names", "redact", "line", "live", "alive",
        "current", "settings", "lifetime", "kin", "marks", "matching", "mentions", "spans", "genai", "sweep", "seal", "worth", "whole", "packed", "where",
    ],
    2: [
        "capture", "blackbox", "journal", "sealed_journal", "news", "sinks", "pair", "recorder", "lines", "search", "sniff", "leaks", "reader", "totals",
        "tree", "census", "counting", "reference", "sightings", "trail", "provenance", "session", "alignment", "timing",
    ],
    3: ["step", "surround", "traced", "merge", "folder", "outline", "seek", "growing", "follow", "render", "snapshot", "verify", "repair", "prune"],
    4: ["tracer", "testing", "notebook"],
    5: ["pytest_plugin", "serve", "index", "cores", "exporters", "bridges"],
    6: ["cli", "__init__", "__main__"],
}  # fmt: skip
# (floor, place on it): on its own floor a room may know those that stand left of it.
PLACE = {room: (floor, at) for floor, rooms in FLOORS.items() for at, room in enumerate(rooms)}
PACKAGE = os.path.join(ROOT, "ai_trace")

# The recording side and the reading side meet on floors 0 and 1 alone, and in the tracer that saves.
WRITERS = {"capture", "blackbox", "journal", "sealed_journal", "news", "sinks", "pair", "recorder", "step", "traced"}
READERS = {
    "alignment", "census", "counting", "folder", "follow", "growing", "lines", "mentions", "merge", "provenance", "reader",
    "reference", "render", "repair", "session", "sightings", "snapshot", "sniff", "timing", "totals", "tree",
    "verify",
}  # fmt: skip


def _files() -> list[tuple[str, str]]:
    """(dotted name below the package, path) of each module."""
    found = []
    for folder, _, names in os.walk(PACKAGE):
        for name in sorted(names):
            if name.endswith(".py"):
                path = os.path.join(folder, name)
                found.append((os.path.relpath(path, PACKAGE)[:-3].replace(os.sep, "."), path))
    return found


FILES = _files()


def _imports(module: str, path: str) -> list[tuple[str, int]]:
    """Every module that *path* imports anywhere in it, absolute, with the line; late imports included."""
    with open(path, encoding="utf-8") as file:
        tree = ast.parse(file.read(), path)
    here = ["ai_trace", *module.split(".")]
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(here[: -node.level]) if node.level else ""
            full = ".".join(part for part in (base, node.module) if part)
            # `from . import disk` names rooms; `from .disk import READ` names what is in one.
            found += [(f"{full}.{a.name}" if full == base else full, node.lineno) for a in node.names]
    return found


def _room(dotted: str) -> str:
    """`ai_trace.render.tree` -> `render`."""
    parts = dotted.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


@pytest.mark.parametrize("module, path", FILES, ids=[m for m, _ in FILES])
def test_a_room_imports_only_from_below(module: str, path: str) -> None:
    """Whoever reads a room needs to know only rooms on lower floors, or left of it on its own."""
    room = module.split(".")[0]
    assert room in PLACE, f"{room} has no floor: give it a place in FLOORS"
    for name, line in _imports(module, path):
        if not name.startswith("ai_trace"):
            continue
        other = _room(name)
        if other == room:
            continue
        assert other in PLACE, f"{path}:{line} imports {name}, which is no room"
        assert PLACE[other] < PLACE[room], (
            f"{path}:{line}: {room} (floor {PLACE[room][0]}) imports {other} (floor {PLACE[other][0]})"
        )


@pytest.mark.parametrize("module, path", FILES, ids=[m for m, _ in FILES])
def test_nothing_from_outside_the_standard_library_is_imported(module: str, path: str) -> None:
    """Not even late, not even inside a try: the package has no dependency, not a hidden one either."""
    for name, line in _imports(module, path):
        top = name.split(".")[0]
        known = top == "ai_trace" or top in sys.stdlib_module_names
        assert known or (module, top) == ("pytest_plugin", "pytest"), f"{path}:{line} imports {name}"


def test_writing_and_reading_do_not_know_each_other() -> None:
    """A reader's mistake cannot reach an agent, and a writer's mistake cannot hide behind its own reader."""
    for module, path in FILES:
        room = module.split(".")[0]
        others = {_room(name) for name, _ in _imports(module, path) if name.startswith("ai_trace.")}
        if room in WRITERS:
            assert not others & READERS, f"{room} writes, and imports {others & READERS}"
        if room in READERS:
            assert not others & WRITERS, f"{room} reads, and imports {others & WRITERS}"


def test_no_circle_of_imports() -> None:
    """Modules of one room (a package) have an order, too: following imports never comes back."""
    names = {f"ai_trace.{m}".removesuffix(".__init__") for m, _ in FILES}
    graph = {}
    for module, path in FILES:
        own = f"ai_trace.{module}".removesuffix(".__init__")
        graph[own] = {n for n, _ in _imports(module, path) if n in names} - {own, "ai_trace"}
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " -> ".join([*way, name])
        if name not in done:
            for other in sorted(graph[name]):
                visit(other, (*way, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def test_every_row_of_the_table_is_a_room() -> None:
    """The table names nothing that is gone."""
    there = {module.split(".")[0] for module, _ in FILES}
    assert sorted(set(PLACE) - there) == []


# What turns data into code. `re.compile` and the like are methods, and make no code.
CODE = {"eval", "exec", "compile", "__import__", "run_path", "run_module", "find_class"}
CODE_MODULES = {"pickle", "_pickle", "marshal", "shelve", "dill", "code", "codeop", "runpy", "imp"}
RUNS_PROGRAMS = "cli.run"  # whoever says `ai-trace run agent.py` means that program, and it reads no trace
OWN_HELPERS = {"cores": {"marshal"}}  # what a process of our own, started by us, answers in its pipe
IMPORTS_FROM_OUR_TABLES = {"__init__", "bridges.__init__", "cli.__init__", "cli.completion", "cli.export"}


def _turns_data_into_code(module: str, path: str) -> Iterator[tuple[str, int]]:
    """(what, line) of each name that could run what a file holds; an import by a literal name cannot."""
    with open(path, encoding="utf-8") as file:
        tree = ast.parse(file.read(), path)
    literal = {id(call.func) for call in ast.walk(tree) if isinstance(call, ast.Call) and _literal(call.args)}
    for node in ast.walk(tree):
        name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
        if name == "import_module" and id(node) not in literal and module not in IMPORTS_FROM_OUR_TABLES:
            yield name, node.lineno
        elif name in CODE and (name != "compile" or isinstance(node, ast.Name)):
            yield name, node.lineno
    unsafe = CODE_MODULES - OWN_HELPERS.get(module, set())
    yield from ((name, line) for name, line in _imports(module, path) if name.split(".")[0] in unsafe)


def _literal(arguments: list[ast.expr]) -> bool:
    return len(arguments) == 1 and isinstance(arguments[0], ast.Constant)


@pytest.mark.parametrize("module, path", FILES, ids=[m for m, _ in FILES])
def test_nothing_recorded_can_become_code(module: str, path: str) -> None:
    """A trace is data: nothing evaluates or unpickles what a file holds, or imports by a name that stands in one."""
    found = list(_turns_data_into_code(module, path))
    if module == RUNS_PROGRAMS:
        assert found and not {_room(name) for name, _ in _imports(module, path)} & READERS
    else:
        assert found == []
