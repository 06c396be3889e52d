"""`ai-trace at` in a long session looks at a few of its lines, and answers as if it had read them all."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from ai_trace import Tracer, folder, load, outline
from ai_trace.outline import NotPlain, outlined
from ai_trace.testing import FakeClock
from tests.cli_world import World
from tests.records import seeded

NAMES = ["price", "signal", "qty", "note", "market.price", "book", "ok", "answer", "é", 'a"b', "x[0]", "error"]
WORDS = ["DOGE", "buy", "hold it", "a longer text of words", "café au lait", 'said "no"', "tab\there", "name", "🙂 fine"]


def _number(chance: random.Random) -> Any:
    return chance.choice([
        chance.randrange(5), chance.randrange(2000), -chance.randrange(200_000), float(chance.randrange(3000)),
        round(chance.random(), 2), round(chance.random() * 9, 4), chance.choice([0.8712, 0.87, 0.8651, -0.8712, -0.87, 0.0]),
        chance.choice([41250.3712, 41250.37, 412.7, 413, 1e-05, 0.00021, 0.000214, 2.5e20, 10**16, 1234.5]),
    ])  # fmt: skip


def _text(chance: random.Random) -> str:
    words = [*WORDS, str(_number(chance)), "1,234", "41250.3712 USD", "0.87", f"{chance.randrange(3000)} of them"]
    return " ".join(chance.choices(words, k=chance.choice([1, 1, 1, 2, 5, 30])))


def _value(chance: random.Random, depth: int = 0) -> Any:
    kind = chance.randrange(8 if depth < 3 else 5)
    if kind < 2:
        return _number(chance)
    if kind < 4:
        return _text(chance)
    if kind == 4:
        return chance.choice([None, True, False, "", "on"])
    if kind < 7:
        return {chance.choice(NAMES): _value(chance, depth + 1) for _ in range(chance.randrange(4))}
    return [_value(chance, depth + 1) for _ in range(chance.randrange(4))]


def _fields(chance: random.Random, seen: list[Any]) -> dict[str, Any]:
    """Some values are those of earlier steps, the others new."""
    fields = {name: chance.choice(seen) if seen and chance.random() < 0.5 else _value(chance) for name in chance.sample(NAMES, 2)}
    seen += fields.values()
    del seen[:-200]
    return fields


def _grow(tracer: Tracer, chance: random.Random, clock: FakeClock, count: int) -> None:
    """*count* steps at random: inside one another, side by side, some of which fail, some of which stay open."""
    seen: list[Any] = []
    waiting = [tracer.step("run", **_fields(chance, seen)).start()]
    for _ in range(count):
        clock.advance(chance.choice([0, 0.001, 1, 60]))
        above = chance.choice([*waiting, None])
        make = tracer.step if above is None else above.step
        step = make(chance.choice(["scan", "decide", "order"]), **_fields(chance, seen)).start()
        for _ in range(chance.randrange(3)):
            clock.advance(chance.choice([0, 0.5]))
            step.log(**_fields(chance, seen))
        waiting.append(step)
        while len(waiting) > 1 and chance.random() < 0.6:
            ended = waiting.pop(chance.randrange(1, len(waiting)))
            ended.fail("no") if chance.random() < 0.2 else ended.finish()


def test_a_part_of_a_text_may_end_in_a_quote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`1,234 said "no"` stands in the text of the last step; its first twelve characters end in a quote."""
    monkeypatch.setattr(outline, "LONG", 0)
    monkeypatch.setattr(outline, "_FIRST", 0)
    monkeypatch.setattr(outline, "_LAST", 1)
    with FakeClock() as clock, Tracer("trader", trace_dir=str(tmp_path)) as tracer:
        for answer in ('1,234 said "no"', *map(str, range(100))):
            clock.advance(60)
            tracer.step("scan", answer=answer).start().finish()
        tracer.step("decide", error='buy: 1,234 said "no" and left').start().finish()
        found = outlined(folder.entry(tracer.path)).at("last").to_dict()

        assert '1,234 said "no"' in json.dumps(found, ensure_ascii=False).replace('\\"', '"')
        assert found == load(tracer.path).at("last").to_dict()


@pytest.mark.parametrize("first, last", [(3, 20), (0, 5), (50, 50), (500, 2000)])
def test_the_answers_are_those_of_the_whole_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: int, last: int
) -> None:
    """For each step of a random run, however little of it is read at first; also where steps are still open."""
    chance = seeded()
    monkeypatch.setattr(outline, "LONG", 0)
    monkeypatch.setattr(outline, "_FIRST", first)
    monkeypatch.setattr(outline, "_LAST", last)
    with FakeClock() as clock, Tracer("trader", trace_dir=str(tmp_path)) as tracer:
        _grow(tracer, chance, clock, 120)
        assert tracer.path is not None
        session, entry = load(tracer.path), folder.entry(tracer.path)
        for word in ("last", "last-error", "#7", "scan#3", "decide#-1", *(step.id for step in chance.sample(session.steps, 40))):
            assert session.at(word).to_dict() == outlined(entry).at(word).to_dict(), word


def test_less_is_read_than_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 2,000 steps those are parsed that stand at the edges or hold a value that is sought."""
    monkeypatch.setattr(outline, "LONG", 0)
    monkeypatch.setattr(outline, "_FIRST", 10)
    monkeypatch.setattr(outline, "_LAST", 20)
    read = 0

    def parsed(lines: list[bytes]) -> Any:
        nonlocal read
        read += len(lines)
        return [json.loads(line) for line in lines]

    with FakeClock() as clock, Tracer("trader", trace_dir=str(tmp_path)) as tracer:
        for n in range(2000):
            clock.advance(1)
            with tracer.step("scan", pair="BTC/USDT") as scan:
                scan.log(signal=n / 8192)
        with tracer.step("decide", pair="BTC/USDT", signal=1000 / 8192):
            pass
    monkeypatch.setattr(outline, "parsed", parsed)
    known = outlined(folder.entry(str(tracer.path))).at("last")

    assert {"signal": 1001, "pair": 1} == {piece.path: piece.origin.number for piece in known.pieces if piece.origin}
    assert [1999 / 8192] == [piece.newer.value for piece in known.stale if piece.newer]
    assert read < 200


@pytest.mark.parametrize("damage", [b'{"nam\x00', b'{"name":"x"}\n{"name"', b'{"neam"', b'\n\n{"name"', b"not a step\n"])
def test_what_is_not_plain_is_read_as_a_whole(tmp_path: Path, damage: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Damage anywhere is told as in a short session, and the answer is there all the same."""
    monkeypatch.setattr(outline, "LONG", 0)
    world = World(tmp_path / "traces")
    with Tracer("trader", trace_dir=str(world.path)) as tracer:
        for n in range(9):
            with tracer.step("scan", signal=n / 64):
                pass
    path = Path(str(tracer.path))
    first, second, rest = path.read_bytes().split(b"\n", 2)
    path.write_bytes(b"\n".join([first, second.replace(b'{"name"', damage, 1), rest]))

    with pytest.raises(NotPlain):
        outlined(folder.entry(str(path)))
    assert "scan" in world.call("at", "last").out


def test_a_clock_that_was_set_while_a_step_ran_is_no_guide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a step ended by the clock at another time than it lasted, all of the session is read."""
    monkeypatch.setattr(outline, "LONG", 0)
    with FakeClock() as clock, Tracer("trader", trace_dir=str(tmp_path)) as tracer:
        with tracer.step("scan", signal=0.8712):
            clock.advance(1)
    path = Path(str(tracer.path))
    outlined(folder.entry(str(path)))
    finished = load(str(path)).steps[0].finished_at
    assert finished is not None
    path.write_bytes(path.read_bytes().replace(f'"finished_at":{finished:.6f}'.encode(), f'"finished_at":{finished + 3600:.6f}'.encode()))

    with pytest.raises(NotPlain):
        outlined(folder.entry(str(path)))
