"""Steps in any order → the tree they form. Pure, and never recursive: 50,000 parents deep is a long list.

Guarantees: every record has one place; a step whose parent is not there, or is the step itself, or lies in a
circle of parents, is a root; brothers stand by time of start; the same records in another order give the same
tree.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import inf

from .record import Record, number
from .totals import duration_of

__all__ = ["Node", "Faults", "link", "walk", "innermost_failure", "innermost_cancelled", "stopped", "ended_at", "end_key"]


class Node:
    """A step in the tree: its record, the node around it, the nodes inside it by time of start."""

    __slots__ = ("record", "parent", "children", "depth")

    def __init__(self, record: Record) -> None:
        self.record = record
        self.parent: Node | None = None
        self.children: list[Node] = []
        self.depth = 0  # 0 for a root

    def __repr__(self) -> str:
        return f"<Node {self.record.name!r} depth={self.depth} children={len(self.children)}>"


class Faults:
    """What was not as a tree should be: steps with an unknown parent, circles of parents that were cut."""

    def __init__(self) -> None:
        self.orphans = 0
        self.circles = 0


def link(records: Iterable[Record], outside: object = None) -> tuple[list[Node], Faults]:
    """A node for each of *records*, outer before inner by time of start, and what was wrong.

    *outside* is the id of a parent known to be elsewhere (in the process that started this one).
    """
    nodes = sorted(map(Node, records), key=_order)
    faults = Faults()
    by_id: dict[str, Node] = {}
    for node in nodes:
        by_id.setdefault(node.record.id, node)
    for node in nodes:
        above = node.record.parent
        if above is not None:
            node.parent = by_id.get(above)
            faults.orphans += node.parent is None and above != outside
    faults.circles = _cut_circles(nodes)
    for node in nodes:
        if node.parent is not None:
            node.parent.children.append(node)
    for node in walk([node for node in nodes if node.parent is None]):
        node.depth = node.parent.depth + 1 if node.parent is not None else 0
    nodes.sort(key=_order)  # now with depth: a step before those inside it that began in the same tick
    return nodes, faults


def walk(roots: Iterable[Node]) -> Iterator[Node]:
    """Every node under *roots*, each before its children: the order in which a tree is read."""
    waiting = list(roots)[::-1]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(reversed(node.children))


def innermost_failure(node: Node) -> Node:
    """Down from a failed *node* through the failed steps inside it, each time the one that failed last.

    A failure travels upwards at once, so of several failed steps inside one the last is its cause; those
    before it were survived.
    """
    while failed := [child for child in node.children if child.record.outcome == "error"]:
        node = max(failed, key=end_key)
    return node


def stopped(record: Record) -> bool:
    """Whether *record* was cancelled, other than by the end of a generator that its caller let go of."""
    return record.outcome == "cancelled" and record.error != "GeneratorExit"


def innermost_cancelled(node: Node) -> Node:
    """Down from a stopped *node* to where it was stopped: each time to the stopped step inside that ended last.

    One that was survived stopped nothing: another step began after it, and what ended the outer one was not the same.
    """
    while cancelled := [child for child in node.children if stopped(child.record)]:
        last = max(cancelled, key=end_key)
        if last.record.error != node.record.error and _went_on(node, last):
            break
        node = last
    return node


def _went_on(node: Node, child: Node) -> bool:
    end = ended_at(child.record)
    return end is not None and any((number(one.record.started_at) or end) > end for one in node.children)


def ended_at(record: Record) -> float | None:
    """When *record* ended, in seconds since 1970: its start and its duration, or its start alone."""
    started, ms = number(record.started_at), duration_of(record)
    return started if started is None or ms is None else round(started + ms / 1000, 6)


def end_key(node: Node) -> tuple[float, int, float, str, int]:
    """Sorts by end; of nodes that end together the inner one is first, then the one that started first."""
    record = node.record
    return (_or_last(ended_at(record)), -node.depth, _or_last(record.started_at), record.path, record.offset)


def _order(node: Node) -> tuple[float, int, str, int, str, str]:
    """By start; of those that share a tick of the clock the outer first, then as they lie in the file."""
    record = node.record
    last = f"{record.name} {record.outcome} {record.duration_ms} {record.error}"  # for records of no file
    return (_or_last(record.started_at), node.depth, record.path, record.offset, record.id, last)


def _or_last(seconds: float | None) -> float:
    known = number(seconds)
    return inf if known is None else known


def _cut_circles(nodes: list[Node]) -> int:
    """Make the first node of each circle of parents a root; how many circles there were."""
    done: set[Node] = set()
    circles = 0
    for node in nodes:
        path: dict[Node, int] = {}
        at: Node | None = node
        while at is not None and at not in done and at not in path:
            path[at] = len(path)
            at = at.parent
        if at in path:
            circle = list(path)[path[at] :]
            min(circle, key=_order).parent = None
            circles += 1
        done.update(path)
    return circles
