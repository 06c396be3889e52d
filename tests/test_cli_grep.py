"""`ai-trace grep`: the steps that hold a text, found without parsing the others, and none of them missed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ai_trace import search
from ai_trace.cli.sieve import fields
from ai_trace.record import Record
from tests.cli_world import START, World, line, step
from tests.records import seeded


@pytest.fixture(name="world")
def fixture_world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "traces")
    yield world
    world.release()


@pytest.fixture(name="two")
def fixture_two(world: World) -> World:
    """An older session, and a newer one with an error."""
    world.session("scout", "20260224_061320", [step("look", context={"symbol": "BTCUSDT"}, id="a" * 16)])
    world.session(
        "trader", "20260225_061320",
        [
            step("decide", context={"order": {"id": 17}, "symbol": "BTCUSDT"}, id="b" * 16,
                 logs=[{"_t": START, "reason": "low volume", "signal": 0.9}]),
            step("fetch", "error", error="TimeoutError: no answer", id="c" * 16, traceback="Traceback: in fetch_price"),
            step("fetch", context={"url": "https://x.example/v1"}, id="d" * 16),
        ],
    )  # fmt: skip
    return world


def ids(world: World, *words: str) -> str:
    """The first letter of the id of each step that is found."""
    done = world.call("grep", *words, "--jsonl")
    assert "" == done.err and (0 if done.out else 1) == done.code
    return "".join(json.loads(row)["step"]["id"][0] for row in done.out.splitlines())


@pytest.mark.parametrize(
    "words, expected",
    [
        (["BTCUSDT"], "ba"),
        (["symbol=BTC"], "ba"),
        (["symbol"], "ba"),
        (["order.id=17"], "b"),
        (["order.id=1."], "b"),
        (["low volume"], "b"),
        (["LOW VOLUME"], ""),
        (["-i", "LOW VOLUME"], "b"),
        (["-i", "like"], ""),
        (["^fetch$"], "cd"),
        (["TimeoutError"], "c"),
        (["fetch_price"], "c"),
        (["https://x.example"], "d"),
        (["-F", "x.example/v1"], "d"),
        (["-F", "x.e.*"], ""),
        (["x.e.*"], "d"),
        (["signal=0.9"], "b"),
        (["", "--errors"], "c"),
        (["", "--name", "f*"], "cd"),
        (["", "--where", "signal > 0.8"], "b"),
        (["BTC", "--where", "not signal"], "a"),
        (["BTC", "trader"], "b"),
        (["BTC", "scout", "trader"], "ab"),
        (["BTC", "--since", "2027-01-01"], ""),
    ],
)
def test_what_is_found(two: World, words: list[str], expected: str) -> None:
    """Names, errors, tracebacks, keys and values; in the sessions that were named, else in all, newest first."""
    assert expected == ids(two, *words)


def test_a_step_is_shown_with_the_match_in_its_field(two: World) -> None:
    """The session, the step, and below it each field with its match; coloured where colours are wanted."""
    plain = two.call("grep", "volume|BTC", "--utc")
    assert [
        "trader_20260225_061320",
        "✔ decide  100 ms  06:13:20.000Z  bbbbbbbb",
        "    context: symbol=BTCUSDT",
        "    logs: reason=low volume",
        "",
        "scout_20260224_061320",
        "✔ look  100 ms  06:13:20.000Z  aaaaaaaa",
        "    context: symbol=BTCUSDT",
    ] == plain.out.splitlines()
    assert "reason=low \x1b[1;31mvolume\x1b[0m" in two.call("grep", "volume", "--color", "always").out


def test_a_long_text_is_cut_around_its_match(world: World) -> None:
    """The match is on the screen, whatever stands around it, and nothing in it can move the cursor."""
    prompt = "before " * 5000 + "\x1b[31mneedle\x07" + " after" * 5000
    world.session(steps=[step("ask", context={"prompt": prompt, "wide": "日本 " * 300 + "needle"}), *_many(7)])
    done = world.call("grep", "needle", COLUMNS="80")
    rows = done.out.splitlines()
    assert all("needle" in row and len(row) <= 80 for row in rows[2:4]) and not {"\x1b", "\x07"} & set(done.out)
    assert rows[2].startswith("    context: …") and rows[2].endswith("…")
    assert "    and in 4 more places" == rows[-1]

    world.session(id="20260226_061320", steps=[step("ask", context={f"k{n}": "needle" for n in range(4)})])
    assert "    and in 1 more place" == world.call("grep", "needle", "latest").out.splitlines()[-1]


def _many(count: int) -> list[dict[str, Any]]:
    return [step("list", context={f"k{n}": "needle" for n in range(count)})]


def test_nothing_found_is_exit_code_1(two: World, world: World) -> None:
    """Like grep: 0 where something was found, 1 where nothing was, 2 where it cannot be understood."""
    assert (1, "", "ai-trace: no step fits\n") == two.call("grep", "nowhere")
    assert (1, "0\n") == two.call("grep", "nowhere", "latest", "-c")[:2]
    assert (1, {"pattern": "nowhere", "steps": []}) == (1, json.loads(two.call("grep", "nowhere", "--json").out))
    wrong = two.call("grep", "(")
    assert 2 == wrong.code and "--fixed" in wrong.err
    assert "b" == ids(two, "17", "--fixed", "trader")
    caret = two.call("grep", "x", "--where", "signal >> 1")
    assert (2, "") == caret[:2] and caret.err.endswith("  signal >> 1\n          ^\n")


def test_counting(two: World) -> None:
    """A number for one session; for several, each that has any."""
    assert "2\n" == two.call("grep", "-c", "fetch", "trader").out
    assert "trader_20260225_061320:1\nscout_20260224_061320:1\n" == two.call("grep", "-c", "BTC").out


def test_json_for_programs(two: World) -> None:
    """One document, or a line a step: the session, the step as a snapshot has it, and what matched."""
    found = json.loads(two.call("grep", "volume", "--json").out)
    assert "volume" == found["pattern"]
    (row,) = found["steps"]
    assert ("trader_20260225_061320", "b" * 16) == (row["session"], row["step"]["id"])
    assert [{"field": "logs", "text": "reason=low volume"}] == row["matches"]


def test_open_steps_are_searched_and_none_twice(world: World) -> None:
    """What runs or died in a step is found; a step in the black box that has ended is found in the journal alone."""
    open_step = step("wait", context={"for": "needle"}, id="e" * 16)
    world.running(steps=[step("a", context={"x": "needle"}, id="a" * 16)], open_steps=[open_step])
    assert "ae" == ids(world, "needle")
    assert "▶ wait" in world.call("grep", "needle").out
    world.ends(world.path / "trader_20260225_061320.jsonl", open_step)
    assert "ae" == ids(world, "needle")
    assert 0 == world.call("grep", "needle", "--json").code


def test_snapshots_old_lines_and_standard_input(world: World) -> None:
    """Every form that the other commands read is searched; a damaged line hides no other."""
    world.session(steps=[step("a", context={"x": "needle"})])
    world.call("save", "latest", "--json")
    raw = (world.path / "trader_20260225_061320.jsonl").read_bytes()
    snapshot = str(world.path / "trader_20260225_061320.json")
    assert "1\n" == world.call("grep", "-c", "needle", snapshot).out
    assert "1\n" == world.call("grep", "-c", "needle", "-", stdin=b"{torn needle" + raw).out
    old = b'{"name": "old", "context": {"x": "needle"}, "started_at": 1, "outcome": "ok"}\n'
    done = world.call("grep", "needle", "-", "--jsonl", stdin=b"\n" * 3 + old)
    assert "line-000004" == json.loads(done.out)["step"]["id"]


@pytest.mark.parametrize(
    "pattern, ignore_case, expected",
    [
        ("low volume", False, b"low volume"),
        ("order.id=17", False, b"order"),
        ("LOW", True, b"low"),
        ("timeout", True, b"meout"),
        ("kiss", True, None),
        ("1.5e3", False, None),
        ('say "hello"', False, b"hello"),
        ("a/bcd", False, b"bcd"),
        ("Zürich", False, b"rich"),
        ("ab.*cde", False, b"cde"),
        ("abcd*", False, b"abc"),
        ("ab+?cd", False, b"ab"),
        ("abcd?x", False, b"abc"),
        ("^alpha$", False, b"alpha"),
        ("a|b", False, None),
        (r"abc\d", False, None),
        ("(?i)abc", False, None),
        ("", False, None),
    ],
)
def test_what_must_stand_in_a_line(pattern: str, ignore_case: bool, expected: bytes | None) -> None:
    """Only what every writer writes in one way: no quotes, slashes, numbers, no letter with a third form."""
    found = search.needle(pattern, ignore_case=ignore_case)
    assert expected == (found and found.text)


WORDS = ("needle", "Kiss", "ſtop", "\u212aelvin", "İstanbul", "\u0131stanbul", "a/b", 'say "x"', "back\\slash", "é", "日本", "1e2", "0.5", "true")


@pytest.mark.parametrize("styles", [2, 3])
def test_passing_lines_over_finds_what_parsing_all_of_them_finds(tmp_path: Path, styles: int) -> None:
    """Random steps, as any writer may escape them (the third way hides ASCII, too): a search over the bytes misses
    no step."""
    rng = seeded()

    def value() -> Any:
        return rng.choice([rng.choice(WORDS), f"{rng.choice(WORDS)} {rng.choice(WORDS)}", 100.0, 17, True, None,
                           {rng.choice(WORDS): rng.choice(WORDS)}, [rng.choice(WORDS), 1.5]])  # fmt: skip

    def escaped(raw: bytes) -> bytes:
        style = rng.randrange(styles)
        if style == 0:
            return json.dumps(json.loads(raw), ensure_ascii=False).encode("utf-8") + b"\n"
        raw = raw.replace(b"/", b"\\/").replace(b":100.0", b":1e2") if rng.randrange(2) else raw
        return raw.replace(b"needle", b"\\u006eeedle") if style == 2 else raw

    steps = [step(rng.choice(WORDS), context={rng.choice(WORDS): value()}, logs=[{"_t": 1.0, "m": value()}], duration_ms=n)
             for n in range(800)]  # fmt: skip
    path = tmp_path / "bot_20260225_061320.jsonl"
    path.write_bytes(b"".join(escaped(line(one)) for one in steps))
    every = list(search.steps(str(path), None))
    assert len(steps) == len(every)
    for pattern in ("needle", "kiss", "KELVIN", "stop", "istanbul", "a/b", 'say "x"', "back\\slash", "é", "1e2", "100.0",
                    "=true", "m=17", "x", "needle.needle", "m=needle", "ne+dle.?", "kisst* n", "m=.*needle$"):  # fmt: skip
        for ignore_case, fixed in ((False, False), (True, False), (False, True), (True, True)):
            wanted = search.needle(pattern, fixed=fixed, ignore_case=ignore_case)
            regex = re.compile(re.escape(pattern) if fixed else pattern, re.IGNORECASE if ignore_case else 0)

            def fits(record: Record, regex: re.Pattern[str] = regex) -> bool:
                return any(regex.search(text) for _, text in fields(record))

            expected = [record.id for record in every if fits(record)]
            assert expected == [record.id for record in search.steps(str(path), wanted) if fits(record)], pattern


@pytest.mark.parametrize("words", [["list", "-q"], ["view", "--jsonl"], ["tail", "--no-follow", "--json"], ["stats", "--json"]])
def test_every_command_that_chooses_steps_takes_a_condition(two: World, words: list[str]) -> None:
    """`--where` means the same in `list` (sessions with such a step), `view`, `tail` and `stats`; help explains it."""
    done = two.call(*words, "--where", "signal > 0.8")
    assert 0 == done.code
    if words[0] == "list":
        assert "trader_20260225_061320\n" == done.out
        assert "scout_20260224_061320\n" == two.call(*words, "--where", 'name == "look"', "-n", "1").out
        assert "no session fits" in two.call("list", "--where", "signal > 1").err
    elif words[0] == "stats":
        assert ["decide"] == [row["key"] for row in json.loads(done.out)["groups"]]
    else:
        assert '"decide"' in done.out and '"fetch"' not in done.out
    assert "(column 8)" in two.call(*words, "--where", "signal ? 1").err
    assert "--where takes a condition" in two.call(words[0], "-h").out


def test_list_says_that_more_sessions_fit(two: World) -> None:
    """With a condition only as many sessions are read as are shown, and that there are more is said."""
    done = two.call("list", "--where", "symbol", "-n", "1")
    assert 2 == len(done.out.splitlines()) and "the newest 1 that fit; -n 0 shows all" in done.err
    assert "" == two.call("list", "--where", "symbol", "-n", "2").err
