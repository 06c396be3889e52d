"""Each of the 78 faults that the recorder was built against has a test, or a sentence in the README that says no.

`tests/faults/proofs.txt` is the map. This file keeps it true: no fault without a proof, no proof that is gone.
"""

from __future__ import annotations

import ast
import functools
import os
import re

import pytest

from tests.children import ROOT

FAULTS = range(1, 79)
NOT_PROMISED = "not promised: README, "


def _rows() -> list[tuple[int, str, list[str]]]:
    """(number, the fault in words, its proofs) of each line."""
    with open(os.path.join(ROOT, "tests", "faults", "proofs.txt"), encoding="utf-8") as file:
        rows = [line.rstrip("\n").split(" | ") for line in file if line.strip() and not line.startswith("#")]
    return [(int(number), fault, proofs) for number, fault, *proofs in rows]


ROWS = _rows()


def _words(text: str) -> str:
    """*text* without line breaks and without the signs of bold."""
    return re.sub(r"\s+", " ", text.replace("**", ""))


@functools.cache
def _readme() -> str:
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
        return _words(file.read())


@functools.cache
def _tests(path: str) -> frozenset[str]:
    """The tests of a file that say in a sentence what they promise."""
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        body = ast.parse(file.read(), path).body
    classes = [(f"{node.name}::", node.body) for node in body if isinstance(node, ast.ClassDef)]
    return frozenset(
        prefix + node.name
        for prefix, nodes in [("", body), *classes]
        for node in nodes
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and ast.get_docstring(node)
    )


def test_each_fault_stands_in_the_map_once_and_in_order() -> None:
    """None is forgotten, none is counted twice."""
    assert [number for number, _, _ in ROWS] == list(FAULTS)
    assert len({fault for _, fault, _ in ROWS}) == len(FAULTS)


@pytest.mark.parametrize("number, fault, proofs", ROWS, ids=[str(number) for number, _, _ in ROWS])
def test_what_is_named_as_a_proof_is_there(number: int, fault: str, proofs: list[str]) -> None:
    """A renamed test or a sentence taken out of the README shows here; a sentence alone needs no test."""
    assert fault and proofs
    for proof in proofs:
        if proof.startswith(NOT_PROMISED):
            assert _words(proof.removeprefix(NOT_PROMISED)) in _readme(), f"the README does not say: {proof}"
        else:
            path, _, name = proof.partition("::")
            assert name in _tests(path), f"{path} has no test {name}"
