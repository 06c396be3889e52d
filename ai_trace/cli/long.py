"""`ai-trace view` of a session too long to hold: shown as it is read, the first screen at once.

The steps come in the order in which they ended, each below the step around it where that is known: it is
still open, or it ended among the last. Any other step is held back until the one around it ends, and then
stands inside it; so nothing is shown twice, and nothing is left out. Memory holds what is held back, at most
`MAX_HELD` steps: of a wider tree the steps inside come first, and the one around them later by itself.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Final

from .. import folder, merge, reader, safe, seek
from ..exceptions import NotATrace
from ..record import Damage, Record
from ..render import terminal, words
from ..render.ink import Style, paint, signs
from ..session import step_dict
from ..tree import Node, link, walk
from . import choose, times
from .output import Stop
from .progress import Progress

if TYPE_CHECKING:
    from argparse import Namespace

    from .output import Output
    from .sieve import Sieve

__all__ = ["LONG", "Long", "steps_in"]

LONG: Final = 50_000  # steps, some 40 MB of memory as a whole session; estimated by a look at both ends
MAX_HELD: Final = 20_000  # steps held back until the one around them ends
_LATE: Final = 1000  # lines at the end of each journal, among which the steps are that go around all others


def steps_in(entry: folder.Entry) -> int:
    """How many steps *entry* may hold, told by the length of its first and last lines."""
    try:
        return sum(seek.sample(path)[1] for path in _journals(entry))
    except OSError:
        return 0


def _journals(entry: folder.Entry) -> list[str]:
    return [path for path in entry.paths if path.endswith((".jsonl", ".jsonl.gz"))]


class Long:
    """A long session on its way to the screen; *keep* chooses steps."""

    def __init__(self, entry: folder.Entry, keep: Sieve, args: Namespace, out: Output) -> None:
        self._entry = entry
        self._journals = _journals(entry)
        self._keep = keep
        self._args = args
        self._out = out
        boxes = [merge.box_and_state(path) for path in entry.boxes]
        self._state = merge.together([state for _, state in boxes])
        self._open = {step.id: step for box, _ in boxes for step in (box.steps if box is not None else ())}
        self._damage: list[Damage] = []
        self._style = Style(color=out.color, unicode=not out.ascii, width=out.width, full=args.full, utc=args.utc)
        self._now = times.now()
        self._found: list[Record] | None = None

    def find(self) -> bool:
        """Look for the steps that `--step` or `--last` name, to be called before `show`; False where there are none."""
        if self._args.step is None and self._args.last is None:
            return True
        with Progress(self._entry.size) as progress:
            self._found = self._chosen(progress.tick)
        return bool(self._found)

    def show(self) -> bool:
        """Write what was asked for; False where no step fits."""
        chosen = self._found
        if chosen is None:
            return self._stream()
        if self._args.jsonl:
            for step in chosen:
                self._out.json_line(step_dict(step))
            return True
        self._head()
        nodes, _ = link(chosen)
        places = [(node, "", True, False) for node in nodes if node.parent is None]
        self._lines(terminal.branches(
            places, self._style, state=self._state, now=self._now, depth=self._args.depth,
        ))  # fmt: skip
        return True

    def _chosen(self, tick: Callable[[int], object]) -> list[Record]:
        """The steps that `--step` or `--last` name, by start."""
        last = self._args.last
        if self._args.step is not None:
            found = [step for step in seek.inside(self._journals, self._named(tick), tick) if self._keep(step)]
        elif self._keep.idle:
            read = [item for path in self._journals for item in self._last(path, last)]
            found = [*self._with_open(item for item in read if isinstance(item, Record))]
        else:
            newest: deque[Record] = deque(maxlen=last)
            for step in self._with_open(self._read(tick)):
                if self._keep(step):
                    step.shed()
                    newest.append(step)
            found = list(newest)
        nodes, _ = link(found)
        return [node.record for node in nodes][-last if last else 0 :]

    def _last(self, path: str, count: int) -> list[Record | Damage]:
        return seek.last_steps(path, count, whole=self._state != "running")

    def _with_open(self, steps: Iterable[Record]) -> Iterator[Record]:
        """*steps*, and behind them those that have not ended."""
        waiting = dict(self._open)
        for step in steps:
            waiting.pop(step.id, None)
            yield step
        yield from waiting.values()

    def _named(self, tick: Callable[[int], object]) -> Record:
        word: str = self._args.step
        found = [step for path in self._journals for step in seek.with_id(path, word, tick)]
        found += [step for id, step in self._open.items() if id.startswith(word)]
        unique = {step.id: step for step in reversed(found)}
        if word in unique:
            return unique[word]
        if not unique:
            raise Stop(f"no step has an id that begins with '{word}'")
        if len(unique) > 1:
            rows = [f"{step.id}  {step.name}" for step in list(unique.values())[:10]]
            more = [f"and {len(unique) - 10:,} more"] if len(unique) > 10 else []
            raise Stop(f"'{word}' means {len(unique):,} steps:", rows=rows + more)
        return next(iter(unique.values()))

    def _stream(self) -> bool:
        if self._args.jsonl:
            return self._stream_json()
        self._head()
        grove = _Grove(self._late(), self._keep, self._state)
        self._lines(grove.lines(self._with_open(self._read()), self._style, self._now, self._args.depth))
        if self._damage:
            self._lines(["", *terminal.damage(self._damage, self._style)])
        return grove.shown or self._keep.idle

    def _stream_json(self) -> bool:
        shown = False
        for step in self._with_open(self._read()):
            if self._keep(step):
                shown = True
                self._out.json_line(step_dict(step))
        return shown or self._keep.idle

    def _late(self) -> dict[str, Record]:
        """Steps known to end after most others, by id: still open, or among the last lines."""
        known = dict(self._open)
        for path in self._journals:
            for item in self._last(path, _LATE):
                if isinstance(item, Record) and item.id not in known:
                    item.shed()
                    known[item.id] = item
        return known

    def _read(self, tick: Callable[[int], object] | None = None) -> Iterator[Record]:
        for path in self._journals:
            try:
                lines = reader.scan(path, check=False, tick=tick)
                for item in lines:
                    yield from self._step(item)
                for item in lines.last() if self._state != "running" else ():
                    yield from self._step(item)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise NotATrace(path, error.strerror or str(error)) from error

    def _step(self, item: Record | Damage) -> Iterator[Record]:
        if isinstance(item, Record):
            yield item
        elif len(self._damage) < MAX_HELD:
            self._damage.append(item._replace(path=choose.told(self._entry, item.path)))

    def _head(self) -> None:
        """Who and when; how many steps there are is known when all of it was read."""
        entry, style = self._entry, self._style
        name = safe.one_line(entry.agent) or "(no name)"
        self._lines([
            paint([(name, "strong"), (f"  {safe.one_line(entry.id)}", ""), (f"  {self._state}", "dim")], style),
            paint([(signs(style).dot.join([
                words.moment(entry.started_at, utc=style.utc, ms=False), words.size(entry.size),
                f"a long session ({os.path.basename(entry.path)}): steps in the order in which they ended",
            ]), "dim")], style),
            "",
        ])  # fmt: skip

    def _lines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self._out.line(line)


class _Grove:
    """Steps in the order in which they ended → trees, each as soon as it is known where it stands."""

    def __init__(self, late: dict[str, Record], keep: Callable[[Record], bool], state: str) -> None:
        self._late = late
        self._keep = keep
        self._state = state
        self._told: set[str] = set()  # ids of the late steps that stand above what was shown
        self._held: dict[str, list[Node]] = {}  # id of the step around -> those inside it, by end
        self._sizes: dict[Node, int] = {}  # of the trees held back, in steps
        self._chosen: set[Node] = set()
        self.shown = False

    def lines(
        self, steps: Iterable[Record], style: Style, now: float | None, depth: int | None
    ) -> Iterator[str]:
        """The trees of *steps* as lines."""
        for node in self._trees(steps):
            self.shown = True
            above = self._around(node.record)
            for at, step in enumerate(above):
                if step.id not in self._told:
                    self._told.add(step.id)
                    yield from self._branch(Node(step), at, style, now, depth)
            yield from self._branch(node, len(above), style, now, depth)

    def _trees(self, steps: Iterable[Record]) -> Iterator[Node]:
        """Each step that stands at the top or in a late one, with all that was held back for it."""
        held = 0
        for step in steps:
            inside = self._held.pop(step.id, [])
            size = sum(map(self._sizes.pop, inside))
            held -= size
            wanted = step.id not in self._told and self._keep(step)
            if not (wanted or inside):
                continue
            node = _node(step, inside)
            if wanted:
                self._chosen.add(node)
            if step.parent is None or step.parent in self._late:
                yield node
                continue
            self._held.setdefault(step.parent, []).append(node)
            self._sizes[node] = size + 1
            held += size + 1
            if held > MAX_HELD:
                yield from self._release()
                held = 0
        yield from self._release()

    def _release(self) -> Iterator[Node]:
        held, self._held = self._held, {}
        self._sizes.clear()
        for nodes in held.values():
            yield from nodes

    def _around(self, step: Record) -> list[Record]:
        """The late steps around *step*, outermost first."""
        path: list[Record] = []
        while step.parent in self._late and self._late[step.parent or ""] not in path:
            step = self._late[step.parent or ""]
            path.append(step)
        return path[::-1]

    def _branch(
        self, node: Node, above: int, style: Style, now: float | None, depth: int | None
    ) -> Iterator[str]:
        if depth is not None and above >= depth:
            return
        late = node.record.id in self._told
        below = [*walk(node.children)]
        for one in below:
            one.depth = one.parent.depth + 1 if one.parent is not None else 0
        yield from terminal.branches(
            [(node, signs(style).bar * max(0, above - 1), above == 0, True)], style,
            state=self._state, now=now, depth=None if depth is None else depth - above,
            whole=lambda one: one in self._chosen or (late and self._keep(one.record)),
        )  # fmt: skip
        self._chosen.difference_update((node, *below))


def _node(step: Record, inside: list[Node]) -> Node:
    """*step* with those *inside* it, by time of start."""
    node = Node(step)
    node.children = sorted(inside, key=lambda child: child.record.started_at or 0.0)
    for child in node.children:
        child.parent = node
    step.shed()
    return node
