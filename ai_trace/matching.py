"""Two lists → which item of one goes with which of the other, in order; one item more does not shift the
rest. Pure.

Each item has a few keys, the most exact first: all of it, then less and less. Equal beginnings and ends go
together; then items whose key comes once in both lists (the longest rising run of them, as in patience
diff, Bram Cohen); then the shortest edit script (E. W. Myers, "An O(ND) difference algorithm", 1986), as
long as it is short. What is left between is matched by the next key. Near-linear: 10,000 items take n log
n, and 100 edits at most are searched for.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Any, Final

__all__ = ["matched"]

_EDITS: Final = 100  # of one stretch; beyond them the next key decides
_AHEAD: Final = 12  # items
Keys = Sequence[tuple[Any, ...]]  # for each item its keys, as many for each
Stretch = tuple[int, int, int, int, int]  # from and to in one, from and to in the other, which key


def matched(one: Keys, other: Keys) -> list[tuple[int | None, int | None]]:
    """(place in *one*, place in *other*) in the order of both, None where an item is alone."""
    pairs = sorted(_pairs(one, other))
    found: list[tuple[int | None, int | None]] = []
    at, to = 0, 0
    for here, there in [*pairs, (len(one), len(other))]:
        found += ((place, None) for place in range(at, here))
        found += ((None, place) for place in range(to, there))
        if here < len(one):
            found.append((here, there))
        at, to = here + 1, there + 1
    return found


def _pairs(one: Keys, other: Keys) -> Iterator[tuple[int, int]]:
    levels = len(one[0]) if one else 0
    waiting: list[Stretch] = [(0, len(one), 0, len(other), 0)]
    while waiting:
        at, end, to, last, level = waiting.pop()
        if level == levels or at == end or to == last:
            continue
        ours = [keys[level] for keys in one[at:end]]
        theirs = [keys[level] for keys in other[to:last]]
        anchors = _ends(ours, theirs) or _unique(ours, theirs) or _edited(ours, theirs)
        if not anchors and level == levels - 1:
            anchors = _nearest(ours, theirs)
        if not anchors:
            waiting.append((at, end, to, last, level + 1))
            continue
        here, there = 0, 0
        for left, right in [*anchors, (len(ours), len(theirs))]:
            waiting.append((at + here, at + left, to + there, to + right, level))
            if left < len(ours):
                yield at + left, to + right
            here, there = left + 1, right + 1


def _ends(ours: list[Any], theirs: list[Any]) -> list[tuple[int, int]]:
    """What is equal at the beginning and at the end of both."""
    size = min(len(ours), len(theirs))
    head = next((at for at in range(size) if ours[at] != theirs[at]), size)
    tail = next((at for at in range(size - head) if ours[-1 - at] != theirs[-1 - at]), size - head)
    ends = [(len(ours) - at, len(theirs) - at) for at in range(tail, 0, -1)]
    return [(at, at) for at in range(head)] + ends


def _unique(ours: list[Any], theirs: list[Any]) -> list[tuple[int, int]]:
    """The longest rising run of keys that come once in each."""
    places = _once(theirs)
    both = [(at, places[key]) for key, at in _once(ours).items() if key in places]
    tops: list[int] = []  # the least end of a rising run of each length
    ends: list[int] = []  # its place in `both`
    before: list[int] = []
    for at, (_, there) in enumerate(both):
        length = bisect_left(tops, there)
        before.append(ends[length - 1] if length else -1)
        tops[length : length + 1] = [there]
        ends[length : length + 1] = [at]
    run = []
    at = ends[-1] if ends else -1
    while at >= 0:
        run.append(both[at])
        at = before[at]
    run.reverse()
    return run if _holds(run, len(ours), len(theirs)) else []


def _holds(run: list[tuple[int, int]], ours: int, theirs: int) -> bool:
    """Whether a run does not tear more apart than it joins: a lone equal pair far off its place is chance."""
    torn, here, there = -abs(ours - theirs), -1, -1
    for left, right in [*run, (ours, theirs)]:
        torn += abs((left - here) - (right - there))
        here, there = left, right
    return torn <= 2 * len(run)


def _once(keys: list[Any]) -> dict[Any, int]:
    """The keys that come once, in order, with their places."""
    found: dict[Any, int] = {}
    for at, key in enumerate(keys):
        found[key] = -1 if key in found else at
    return {key: at for key, at in found.items() if at >= 0}


def _edited(ours: list[Any], theirs: list[Any]) -> list[tuple[int, int]]:
    """The equal pairs of the shortest edit script; [] where it is longer than `_EDITS`."""
    reach = {1: 0}  # diagonal -> how far along *ours*
    steps: list[dict[int, int]] = []
    for edits in range(min(len(ours) + len(theirs), _EDITS) + 1):
        steps.append(dict(reach))
        for diagonal in range(-edits, edits + 1, 2):
            down = diagonal == -edits or (diagonal != edits and reach[diagonal - 1] < reach[diagonal + 1])
            at = reach[diagonal + 1] if down else reach[diagonal - 1] + 1
            while at < len(ours) and 0 <= at - diagonal < len(theirs) and ours[at] == theirs[at - diagonal]:
                at += 1
            reach[diagonal] = at
            if at >= len(ours) and at - diagonal >= len(theirs):
                return _backwards(steps, len(ours), len(theirs))
    return []


def _nearest(ours: list[Any], theirs: list[Any]) -> list[tuple[int, int]]:
    """Equal pairs found by going on from each to the nearest next; for lists too different for better."""
    pairs = []
    at, to = 0, 0
    while at < len(ours) and to < len(theirs):
        ahead = ((i, total - i) for total in range(_AHEAD) for i in range(total + 1))
        near = ((at + i, to + j) for i, j in ahead if at + i < len(ours) and to + j < len(theirs))
        found = next(((i, j) for i, j in near if ours[i] == theirs[j]), None)
        if found is None:
            at, to = at + 1, to + 1
        else:
            pairs.append(found)
            at, to = found[0] + 1, found[1] + 1
    return pairs


def _backwards(steps: list[dict[int, int]], at: int, to: int) -> list[tuple[int, int]]:
    """The way that `_edited` took, read from its end: the pairs on its diagonals."""
    pairs = []
    for edits in range(len(steps) - 1, -1, -1):
        reach, diagonal = steps[edits], at - to
        down = diagonal == -edits or (diagonal != edits and reach[diagonal - 1] < reach[diagonal + 1])
        came = diagonal + 1 if down else diagonal - 1
        start = reach[came] if edits else 0
        while at > start and to > start - came and at > 0 and to > 0:
            at, to = at - 1, to - 1
            pairs.append((at, to))
        at, to = start, start - came
    return pairs[::-1]
