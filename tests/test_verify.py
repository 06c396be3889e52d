"""`ai-trace verify`: nothing that happens to a line goes unseen, and what is seen is named with its place."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ai_trace import Tracer, UsageError, folder
from ai_trace.seal import Seal
from ai_trace.verify import MOST_FINDINGS, Report, verify
from tests import sample
from tests.cli_world import World, call, step
from tests.mutate import mutated
from tests.records import seeded

KEY = b"the key of the night shift"


@pytest.fixture(name="world")
def fixture_world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "traces")
    yield world
    world.release()


def _sealed(place: Path, count: int = 12, seal: bool | bytes = True) -> Path:
    with Tracer("bot", place, seal=seal) as tracer:
        path = Path(tracer.path)
        for n in range(count):
            with tracer.step("decide", n=n, mood="calm") as one:
                one.log(f"number {n}")
    return path


def _check(path: Path, key: bytes | None = None, expect: tuple[str, ...] = ()) -> Report:
    return verify(folder.entry(path), Seal(key) if key else None, expect)


def _reasons(report: Report) -> list[str]:
    return [finding.reason for file in report.files for finding in file.findings]


def _head(path: Path) -> str:
    head: str = json.loads(path.read_bytes().splitlines()[-1])["seal"]
    return head


# Damage in any journal


def test_a_finding_says_where_what_and_how_much_stands_around_it(world: World) -> None:
    """File, line, byte, length, reason, and the whole steps before and after: the same for people and programs."""
    path = world.session(steps=[step(f"step {n}", started_at=1e9 + n) for n in range(10)])
    rows = path.read_bytes().splitlines(True)
    rows[3] = b'{"name":"torn\n'
    path.write_bytes(b"".join(rows))

    done = world.call("verify")
    assert 1 == done.code
    place = sum(map(len, rows[:3]))
    assert f"line 4, byte {place:,}, 14 bytes: not JSON" in done.out
    assert "(3 whole steps before, 6 after)" in done.out and str(path) in done.out
    found = json.loads(world.call("verify", "--json").out)
    (finding,) = found["sessions"][0]["files"][0]["findings"]
    assert (4, place, 14, 0, 3, 6) == tuple(
        finding[key] for key in ("line", "offset", "length", "steps", "steps_before", "steps_after")
    )
    assert 1 == found["found"] == found["sessions"][0]["found"]


def test_sessions_in_order_are_exit_code_0(world: World) -> None:
    """Ended, died and running sessions as a recorder leaves them, each with one row; a file by its path, too."""
    world.session("one")
    world.died("two")
    path = world.running("three")
    with path.open("ab") as file:
        file.write(b'{"name":"being writ')  # no finding while its writer lives
    done = world.call("verify")
    assert (0, 3, "") == (done.code, len(done.out.splitlines()), done.err)
    assert 0 == call("verify", str(path)).code
    world.release()


@pytest.mark.parametrize(
    "change, says",
    [
        (lambda raw: raw.replace(b"decide", b"decided"), "edited: it says it has"),
        (lambda raw: raw.replace(b"\n", b"\r\n"), "edited: it says it has"),
        (lambda raw: raw.replace(b"\n", b"", 1), "2 steps on one line"),
        (lambda raw: raw.replace(b'"n":0', b'"n":NaN'), "NaN is no number"),
        (lambda raw: raw.replace(b'"n":0', b'"n":0,"n":1'), "twice"),
        (lambda raw: raw[:-9], "cut off"),
        (lambda raw: raw + bytes(99), "NUL bytes"),
        (lambda raw: raw + b"[1, 2]\n", "not a step"),
        (lambda raw: b"\xef\xbb\xbf" + raw, "byte order mark"),
        (lambda raw: b"\x1e\x8b" + raw, "garbage before a step"),
    ],
)
def test_what_happens_to_lines_has_a_name(world: World, change: Callable[[bytes], bytes], says: str) -> None:
    """Editors, `git`, crashes and other programs leave their traces, in journals without seals, too."""
    path = world.session(steps=[step("decide", started_at=1e9 + n, context={"n": n}) for n in range(3)])
    path.write_bytes(change(path.read_bytes()))
    assert any(says in reason for reason in _reasons(_check(path))), _reasons(_check(path))


def test_a_cut_off_end_shows_where_a_black_box_was_left(world: World) -> None:
    """The black box of a session that died knows how long its journal was."""
    path = world.died()
    box = path.with_suffix(".live")
    box.write_bytes(box.read_bytes().replace(b'"at":0', b'"at":%d' % (path.stat().st_size + 10)))
    assert ["10 bytes are missing at its end, as its black box tells"] == _reasons(_check(path))
    path.unlink()
    assert any("its journal is missing" in reason for reason in _reasons(_check(box)))


def test_a_file_of_another_kind_costs_bounded_memory(tmp_path: Path) -> None:
    """A million lines that are no steps: all counted, the first thousand kept, one row and a few findings shown."""
    path = tmp_path / "numbers.jsonl"
    path.write_bytes(b"1\n" * 20_000)
    (file,) = _check(path).files
    assert (20_000, MOST_FINDINGS) == (file.found, len(file.findings))
    done = call("verify", str(path))
    assert (1, 23) == (done.code, len(done.out.splitlines()))
    assert "and 19,980 more" in done.out
    assert 7 == len(call("verify", str(path), "-n", "4").out.splitlines())


def test_whole_steps_are_counted_whatever_happens_to_the_file(tmp_path: Path) -> None:
    """Any mutation: it ends, raises nothing, and counts as many steps as there are; before + in + after fits."""
    draw = seeded()
    for n in range(150):
        path = tmp_path / "bot_20240301_134022.jsonl"
        path.write_bytes(mutated(sample.journal(12), f"{draw.random()}"))
        report = _check(path)
        steps = list(folder.load(path).steps) if report.steps else []
        assert len({step.id for step in steps}) <= report.steps
        for finding in report.files[0].findings:
            after = report.files[0].after(finding)
            assert after >= 0 and finding.before + finding.steps + after == report.steps


# Seals


def _cut(rows: list[bytes], draw: random.Random) -> list[bytes]:
    raw = b"".join(rows)
    return raw[: draw.randrange(len(raw))].splitlines(True)


def _edit(rows: list[bytes], draw: random.Random) -> list[bytes]:
    """Another letter somewhere, length and JSON as they were."""
    at = draw.randrange(len(rows))
    row = rows[at]
    places = [n for n, byte in enumerate(row) if chr(byte).isalnum() and chr(byte) != "0"]
    n = draw.choice(places)
    new = draw.choice([c for c in b"abcdef123456789" if c != row[n]])
    return [*rows[:at], row[:n] + bytes((new,)) + row[n + 1 :], *rows[at + 1 :]]


def _swap(rows: list[bytes], draw: random.Random) -> list[bytes]:
    a, b = sorted(draw.sample(range(len(rows)), 2))
    rows[a], rows[b] = rows[b], rows[a]
    return rows


def _remove(rows: list[bytes], draw: random.Random) -> list[bytes]:
    del rows[draw.randrange(len(rows))]
    return rows


def _repeat(rows: list[bytes], draw: random.Random) -> list[bytes]:
    a = draw.randrange(len(rows))
    return [*rows[: draw.randint(a + 1, len(rows))], rows[a], *rows[draw.randint(a + 1, len(rows)) :]]


def _insert(rows: list[bytes], draw: random.Random) -> list[bytes]:
    """A line in the right form with a seal that was made up."""
    row = json.loads(draw.choice(rows))
    row["seal"] = f"{draw.randrange(20):08x}" + draw.randbytes(32).hex()
    return [*rows[: (at := draw.randint(0, len(rows)))], json.dumps(row).encode() + b"\n", *rows[at:]]


@pytest.mark.parametrize("key", [None, KEY], ids=["bare", "keyed"])
@pytest.mark.parametrize("change", [_edit, _swap, _remove, _repeat, _insert, _cut])
def test_with_a_kept_head_no_change_goes_unseen(
    tmp_path: Path, change: Callable[[list[bytes], random.Random], list[bytes]], key: bytes | None
) -> None:
    """One line edited, swapped, removed, repeated or made up, or the file cut anywhere: always found."""
    path = _sealed(tmp_path, seal=key or True)
    raw, head, draw = path.read_bytes(), _head(path), seeded()
    intact = _check(path, key, (head,))
    assert ([], 12, True) == (_reasons(intact), intact.steps, intact.proved)
    assert {head: 0} == intact.files[0].expected

    for _ in range(60):
        changed = b"".join(change(raw.splitlines(True), draw))
        if changed.rstrip(b"\n") == raw.rstrip(b"\n"):
            continue
        path.write_bytes(changed)
        report = _check(path, key, (head,))
        assert report.found or head not in report.files[0].expected, changed


def test_without_a_kept_head_only_a_clean_cut_goes_unseen(tmp_path: Path) -> None:
    """What the documentation says a chain cannot prove is true, and is all: whole lines gone from the end."""
    path = _sealed(tmp_path)
    rows = path.read_bytes().splitlines(True)
    head = _head(path)
    for kept in range(1, len(rows)):
        path.write_bytes(b"".join(rows[:kept]))
        report = _check(path, None, (head,))
        assert [] == _reasons(report)
        assert {} == report.files[0].expected
    path.write_bytes(b"".join(rows[1:]))
    assert ["1 line before it is missing"] == _reasons(_check(path))


@pytest.mark.parametrize(
    "change, named",
    [
        (lambda r: [*r[:4], r[4].replace(b"calm", b"wild"), *r[5:]], [(5, "its seal does not fit")]),
        (lambda r: [*r[:4], *r[7:]], [(5, "3 lines before it are missing")]),
        (lambda r: [*r[:4], r[5], r[4], *r[6:]], [(5, "1 line before it is missing"), (6, "out of place: it is line 5")]),
        (lambda r: [*r[:4], r[3], *r[4:]], [(5, "it stands there twice")]),
        (lambda r: [*r[:2], *r[6:], *r[2:6]], [(3, "4 lines before it are missing"), (9, "out of place: it is line 3")]),
        (lambda r: [*r[:4], r[4].replace(b',"seal":"00000005', b',"seal":"00000905'), *r[5:]],
         [(5, "2,304 lines before it are missing"), (6, "out of place")]),
        (lambda r: [*r[:4], r[4][:-85] + b"}\n", *r[5:]], [(5, "it carries no seal"), (6, "1 line before it is missing")]),
    ],
    ids=["changed", "removed", "swapped", "repeated", "moved", "number", "stripped"],
)  # fmt: skip
def test_each_change_is_named_at_its_line_and_nowhere_else(
    tmp_path: Path, change: Callable[[list[bytes]], list[bytes]], named: list[tuple[int, str]]
) -> None:
    """One change is one or two findings, not one for every line behind it."""
    path = _sealed(tmp_path)
    path.write_bytes(b"".join(change(path.read_bytes().splitlines(True))))
    found = [(f.line, f.reason) for f in _check(path).files[0].findings]
    assert [line for line, _ in named] == [line for line, _ in found], found
    assert all(text in reason for (_, text), (_, reason) in zip(named, found)), found


def test_a_chain_built_anew_is_found_by_a_head_or_a_key(tmp_path: Path) -> None:
    """Who rewrites the file and every seal deceives a bare chain; not a head kept elsewhere, and not a key."""
    path = _sealed(tmp_path, seal=KEY)
    head = _head(path)
    rows = [json.loads(row) for row in path.read_bytes().splitlines()]
    rows[0]["session"]["seal"] = "sha256"
    rows[4]["context"]["mood"] = "wild"
    seal, forged = Seal(), []
    last = seal.first(rows[0]["session"]["trace_id"], 0)
    for number, row in enumerate(rows, 1):
        del row["seal"]
        sealed, last = seal.sign(_with_len(row, 82), last, number)
        forged.append(sealed)
    path.write_bytes(b"".join(forged))

    assert [] == _reasons(_check(path))
    assert {} == _check(path, None, (head,)).files[0].expected
    assert _check(path, KEY).found >= len(rows) - 1


def _with_len(row: dict[str, object], room: int) -> bytes:
    for _ in range(4):
        raw = json.dumps(row, separators=(",", ":")).encode() + b"\n"
        row["len"] = len(raw) + room
    return raw


def test_a_head_proves_the_past_of_a_journal_that_went_on(tmp_path: Path) -> None:
    """Kept while the session runs, it is found later, with the number of lines since then."""
    with Tracer("bot", tmp_path, seal=True) as tracer:
        for n in range(5):
            tracer.step("a", n=n).start().finish()
        head = call("--dir", str(tmp_path), "verify", "--head").out
        for n in range(3):
            tracer.step("b", n=n).start().finish()
    assert head.endswith(f"  {Path(tracer.path).name.replace('.1.jsonl', '.jsonl')}\n")
    done = call("--dir", str(tmp_path), "verify", "--expect", head)
    assert 0 == done.code and "found, with 3 lines after it" in done.err
    (place,) = json.loads(call("--dir", str(tmp_path), "verify", "--expect", head[:72], "--json").out)["expected"]
    assert (head[:72], 3) == (place["seal"], place["lines_after"])

    lost = call("--dir", str(tmp_path), "verify", "--expect", "ab" * 36)
    assert 1 == lost.code and "the end was cut off" in lost.err
    assert 2 == call("--dir", str(tmp_path), "verify", "--expect", "abc").code


def test_a_key_is_asked_for_and_demands_that_all_is_sealed_with_it(tmp_path: Path) -> None:
    """Without it only the order is checked, and that is said; with it, what is not sealed by it is a finding."""
    keyed, bare, none = tmp_path / "keyed", tmp_path / "bare", tmp_path / "none"
    path = _sealed(keyed, seal=KEY)
    _sealed(bare)
    Tracer("bot", none).step("a").start().finish()
    file = tmp_path / "seal.key"
    file.write_bytes(KEY + b"\n")

    blind = call("--dir", str(keyed), "verify")
    assert 0 == blind.code and "only the order was checked" in blind.out
    assert False is json.loads(call("--dir", str(keyed), "verify", "--json").out)["sessions"][0]["proved"]
    good = call("--dir", str(keyed), "verify", "--key-file", str(file))
    assert 0 == good.code and "sealed with this key" in good.out
    assert 1 == call("--dir", str(bare), "verify", "--key-file", str(file)).code
    unsealed = call("--dir", str(none), "verify", "--key-file", str(file))
    assert 1 == unsealed.code and "none of its lines is sealed" in unsealed.out
    file.write_bytes(b"another")
    wrong = call("--dir", str(keyed), "verify", "--key-file", str(file))
    assert 1 == wrong.code and "sealed with this key" not in wrong.out
    file.write_bytes(b"\n")
    assert 2 == call("--dir", str(keyed), "verify", "--key-file", str(file)).code
    assert 1 == call("--dir", str(keyed), "verify", "--key-file", str(tmp_path / "none.key")).code
    rows = path.read_bytes().splitlines(True)
    path.write_bytes(b"".join([*rows[:3], *rows[4:]]))
    assert 1 == call("--dir", str(keyed), "verify").code


def test_a_key_read_from_a_file_fits_with_its_newline_and_without(tmp_path: Path) -> None:
    """`echo key > seal.key`, read whole on the one side and by `--key-file` on the other."""
    file = tmp_path / "seal.key"
    for place, key in (("unix", KEY + b"\n"), ("windows", KEY + b"\r\n"), ("bare", KEY)):
        _sealed(tmp_path / place, seal=key)
        for written in (KEY, key):
            file.write_bytes(written)
            assert 0 == call("--dir", str(tmp_path / place), "verify", "--key-file", str(file)).code
    with pytest.raises(UsageError, match="this key is empty"):
        Tracer("bot", tmp_path, seal=b"\n")


def test_where_nothing_is_sealed_there_is_no_head_and_no_success(tmp_path: Path) -> None:
    """`verify --head >> heads.txt` in a nightly job must not keep nothing and succeed."""
    Tracer("bot", tmp_path).step("a").start().finish()
    done = call("--dir", str(tmp_path), "verify", "--head")
    assert 1 == done.code and "" == done.out and "is not sealed" in done.err


def test_a_finding_never_shows_the_bytes(world: World) -> None:
    """What is damaged may be a secret, or escapes for a terminal: reasons are ours alone."""
    path = world.session()
    path.write_bytes(path.read_bytes() + b'{"name":"\x1b]0;pwned\x07 sk-secret","outcome":\x1b[31m}\n')
    done = world.call("verify")
    assert 1 == done.code and "sk-secret" not in done.out and "\x1b" not in done.out


def test_a_snapshot_and_standard_input(world: World) -> None:
    """What `view` takes, `verify` takes."""
    path = world.session()
    assert 0 == world.call("save", "latest", "--json").code
    assert 0 == call("verify", str(path.with_suffix(".json"))).code
    assert 0 == world.call("verify", "-", stdin=path.read_bytes()).code
    assert 1 == world.call("verify", "-", stdin=path.read_bytes()[:-9]).code
    assert 2 == world.call("verify", "--head", "--json").code
