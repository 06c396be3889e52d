"""The Markdown page tells what happened, in the order that a person needs, whatever the trace holds."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from ai_trace.record import Damage, Record
from ai_trace.render import markdown, terminal
from ai_trace.render.ink import Style
from ai_trace.session import Session, fold
from tests.records import T0, failed, seeded, step

NO_ANSWER = "TimeoutError: no answer"
TRACEBACK = f'Traceback (most recent call last):\n  File "agent.py", line 88, in fetch\n{NO_ANSWER}\n'
HEAD = {"agent": "trader", "session_id": "20240301_134022", "trace_id": "0" * 32, "meta": {"model": "large"}}


def _failed_run() -> list[Record]:
    return [
        failed(1, name="run", error=NO_ANSWER, duration_ms=9000.0, traceback=TRACEBACK, session=HEAD),
        step(2, 1, name="scan", context={"symbol": "BTC"}),
        failed(3, 1, name="decide", error=NO_ANSWER, duration_ms=6000.0, traceback=TRACEBACK),
        failed(4, 3, name="fetch", error=NO_ANSWER, duration_ms=4000.0, traceback=TRACEBACK,
               context={"url": "https://kraken.example", "try": 2},
               logs=[{"_t": T0 + 5, "message": "second try"}]),
    ]  # fmt: skip


def _cancelled(n: int, parent: int | None = None, error: str = "KeyboardInterrupt", **more: Any) -> Record:
    return step(n, parent, outcome="cancelled", error=error, **more)


def _stopped_run() -> list[Record]:
    """Ctrl-C in a call, after a task that was cancelled and survived; a step that cleans up after the call."""
    return [
        _cancelled(1, name="run", duration_ms=9000.0),
        _cancelled(2, 1, "CancelledError", name="too slow"),
        _cancelled(5, 1, name="call", context={"prompt": "why?"}, logs=[{"_t": T0 + 5, "tokens": 17}]),
        step(8, 1, name="clean up"),
        _cancelled(9, 1, "GeneratorExit", name="a generator that was let go of", duration_ms=900.0),
    ]


def _survived_run() -> list[Record]:
    """A task that was cancelled in a run that went on and ended well."""
    return [step(1, duration_ms=9000.0), _cancelled(2, 1, "CancelledError"), step(4, 1)]


def _page(session: Session) -> str:
    return "\n".join(markdown.lines(session, now=T0 + 100)) + "\n"


def _sections(page: str) -> dict[str, str]:
    parts = re.split(r"^## (.*)\n", page, flags=re.MULTILINE)
    return {"": parts[0], **dict(zip(parts[1::2], parts[2::2]))}


def test_the_page_opens_with_who_and_what_happened() -> None:
    """Title, then one sentence with the way to the failure, its error and its time."""
    opening = _sections(_page(fold(_failed_run())))[""]

    assert opening.startswith("# Trace: trader — 20240301_134022\n")
    way = "`run` › `decide` › `fetch` with `TimeoutError: no answer` at 2024-03-01 13:40:30"
    assert f"**Failed** after 9.00 s: {way}" in opening


def test_where_it_first_went_wrong_shows_what_the_step_saw_said_and_raised() -> None:
    """Path, context, logs and traceback of the innermost failed step, before anything else."""
    sections = _sections(_page(fold(_failed_run())))
    scene = sections["Where it first went wrong"]

    assert "Where it first went wrong" == list(sections)[1]
    order = ["`run` ❌", "`decide` ❌", "**`fetch`** ❌", "`url`: `https://kraken.example`", "`try`: `2`",
             "`second try`", "`TimeoutError: no answer`", "```text\nTraceback", "line 88"]  # fmt: skip
    places = [scene.index(text) for text in order]
    assert places == sorted(places)


def test_a_survived_failure_and_the_one_that_ended_the_run_are_both_shown() -> None:
    """A retry that worked is where it first went wrong, but not what ended it."""
    session = fold([step(1), failed(2, 1, name="early"), failed(5, name="late", error="OSError: gone")])
    sections = _sections(_page(session))

    assert "`early`" in sections["Where it first went wrong"]
    assert "`late`" in sections["What ended the run"]
    assert "| 1 | `early` | `ValueError: boom` |" in sections["All failures"]


def test_a_run_that_was_stopped_shows_where_and_by_what() -> None:
    """The innermost step that Ctrl-C went through, what it saw and logged, and no word of failure."""
    sections = _sections(_page(fold(_stopped_run())))
    scene = sections["Where it was stopped"]

    order = ["`run` 🚫", "**`call`** 🚫", "`prompt`: `why?`", "`tokens` = `17`", "**What stopped it:** `KeyboardInterrupt`"]
    places = [scene.index(text) for text in order]
    assert places == sorted(places) and "Where it first went wrong" not in sections


def test_a_cancelled_step_that_was_survived_did_not_stop_the_run() -> None:
    """No scene for it; nor where the run was stopped elsewhere later."""
    assert "Where it was stopped" not in _sections(_page(fold(_survived_run())))
    later = [_cancelled(1, duration_ms=9000.0), _cancelled(2, 1, "CancelledError"), step(4, 1)]
    session = fold(later)

    assert later[0] is session.stopped_in


def test_a_run_that_died_shows_what_was_in_flight() -> None:
    """The innermost open step, the way to it, and all it had logged."""
    call = step(
        3, 1, open=True, name="call_model", context={"prompt": "why?"}, logs=[{"_t": T0 + 9, "tokens": 17}]
    )
    steps = [step(1, open=True, name="run"), step(2, 1, name="read"), call]
    page = _page(fold(steps, state="died", info=HEAD))
    scene = _sections(page)["In flight when it died"]

    assert "**Died** in `run` › `call_model`: the process was last heard of at 2024-03-01 13:40:31" in page
    assert "died in this step, last heard of after 6.00 s" in scene
    assert "`prompt`: `why?`" in scene and "`tokens` = `17`" in scene
    assert "1. ⏳ `run` (open when the process died)" in page


@pytest.mark.parametrize(
    "steps, state, expected",
    [
        ([], "unknown", "**Nothing was recorded**"),
        ([step(1), step(2)], "ended", "**Nothing failed**: 2 steps in 2.00 s."),
        ([failed(1), step(5)], "ended", "**Finished, but 1 of 2 steps failed**"),
        ([step(1, outcome="cancelled")], "ended", "**Stopped** after 1.00 s: `step 1` at 2024-03-01 13:40:24.000Z."),
        (_stopped_run(), "ended", "**Stopped** after 9.00 s: `run` › `call` (`KeyboardInterrupt`) at 2024-03-01 13:"),
        ([failed(0), *_stopped_run()], "ended", "(`KeyboardInterrupt`) at 2024-03-01 13:40:28.000Z. 1 step failed in all"),
        ([step(1), _cancelled(2, error="GeneratorExit")], "ended", "**Finished**: 2 steps in 2.00 s, none failed, 1 was"),
        (_survived_run(), "ended", "**Finished**: 3 steps in 9.00 s, none failed, 1 was cancelled."),
        ([failed(9), step(1, outcome="cancelled")], "ended", "**Failed** after 9.00 s: `step 9` with `ValueError: boom`"),
        ([step(1, open=True)], "running", "**Still running**: `step 1`, running for 1 m 39 s."),
        ([step(1)], "running", "**Nothing failed**: 1 step in 1.00 s. The process was still"),
        ([failed(1)], "running", "**Failed** after 1.00 s: `step 1` with `ValueError: boom`"),
        ([failed(1)], "died", "**Died** between two steps: the process was last heard of at"),
        ([failed(1)], "died", "without a word. Failed after 1.00 s: `step 1` with"),
        ([step(1, open=True)], "unknown", "**Not finished**: `step 1` began, and no end of it is recorded."),
    ],
)
def test_the_verdict(steps: list[Record], state: str, expected: str) -> None:
    """One sentence for each way in which a run can be found."""
    assert expected in _page(fold(steps, state=state))


def test_long_values_are_folded_whole_and_short_ones_are_not() -> None:
    """The beginning is there to see; the rest is one click, or a few lines of raw text, away."""
    page = _page(fold([step(1, context={"prompt": "one\ntwo\n" + "x" * 500, "n": 5})]))

    assert "- `prompt`: `one two xxx" in page and "(508 characters)" in page
    assert "  <details><summary>all 508 characters</summary>\n\n  ```text\n  one\n  two\n" in page
    assert "- `n`: `5`\n" in page


def test_repetition_is_shown_with_how_often_the_context_was_the_same() -> None:
    """A loop is many steps of one name that see the same thing."""
    page = _page(fold([step(n, name="search", context={"q": "same" if n % 2 else n}) for n in range(10)]))

    assert "| 10 | `search` | 0 | 10.0 s | 5 |" in _sections(page)["Most repeated steps"]


def test_slow_steps_are_ranked_by_their_own_time() -> None:
    """A parent is not slow because of its children."""
    page = _page(fold([step(1, duration_ms=9000.0), step(2, 1, duration_ms=8000.0)]))
    rows = [line for line in _sections(page)["Slowest steps"].split("\n") if line.startswith("| ")]

    assert ["| 8.00 s | 8.00 s | 2 | `step 1` › `step 2` |", "| 1.00 s | 9.00 s | 1 | `step 1` |"] == rows[1:]


def test_unknown_tokens_and_cost_are_never_zero() -> None:
    """A question mark for what nobody logged, and the share for what some did."""
    usages = {"model": "m", "input_tokens": 1200}, {"model": "m", "cost_usd": 0.5}
    steps = [step(n, usage=usage) for n, usage in enumerate(usages)]
    section = _sections(_page(fold(steps)))["Tokens and cost"]

    assert "| `m` | 2 | 1,200 (from 1 of 2) | ? | ? | ? | 0.5000 (from 1 of 2) |" in section


def test_what_is_missing_from_the_record_is_said() -> None:
    """Damage, drops and masks are on the page."""
    steps = [step(1, redacted=2, dropped={"disk full": 3})]
    session = fold(steps, damage=[Damage("a.jsonl", 10, 20, "torn", 3)])
    section = _sections(_page(session))["About this record"]

    assert "2 values masked" in section
    assert "3 records could not be written: disk full" in section
    assert "line 3, byte 10, 20 bytes: torn" in section


def test_every_step_is_listed_in_the_order_of_the_tree() -> None:
    """Numbered, with the steps it lies in."""
    page = _page(fold(_failed_run()))

    headings = re.findall(r"^### .*", page, flags=re.MULTILINE)
    assert [
        "### 1. ❌ `run` (9.00 s)", "### 2. ✅ `scan` (1.00 s)", "### 3. ❌ `decide` (6.00 s)",
        "### 4. ❌ `fetch` (4.00 s)",
    ] == headings  # fmt: skip
    assert "· in `run` › `decide`" in page


def test_of_a_huge_session_only_what_went_wrong_is_listed() -> None:
    """The rest is counted, and how to see it is said."""
    steps = [failed(n) if n % 500 == 0 else step(n) for n in range(2_500)]
    section = _sections(_page(fold(steps, info=HEAD)))["Steps"]

    assert 5 == section.count("\n### ")
    assert "2,495 others are left out" in section and "`ai-trace view`" in section


def test_a_step_has_a_date_where_the_run_spans_midnight() -> None:
    """A time of day alone would mislead."""
    page = _page(fold([step(1), step(2, started_at=T0 + 86_400)]))

    assert "\n2024-03-02 13:40:22.000Z\n" in page


# Hostile text

HOSTILE = [
    "# heading", "## h2\n## h3\n", "\n# after a newline", "===\n", "---", "- item\n- item", "1. one",
    "> quote",
    "| a | b |\n|---|---|\n| 1 | 2 |", "a|b|c", "```\n# out of the fence\n```", "`````", "~~~\ntext\n~~~",
    "`code`", "``",
    "<script>alert(1)</script>", "</details>", "<details><summary>x", "<!-- comment", "--> x",
    "<img src=x onerror=y>",
    "[link](javascript:alert(1))", "![image](https://example.com/x.png)", "[ref]: https://example.com",
    "<https://x>",
    "&lt;b&gt; &amp; &#35;", "\x1b]0;title\x07\x1b[2J", "line\r# after a return",
    "a\u2028# after a separator\x85# x\x0c# y",
    "\u202etxt.exe", "\ud800 lone", "  leading", "trailing  ", "\\", "\\`", "`\\", "$x$ $$y$$", "*a* _b_ ~c~",
    " ", "\n", "\t# tab",
    "x" * 300 + "\n```\n# deep in a long value\n", "\n" * 200, "`" * 200, "| " * 100, "</details>\n" * 30,
]  # fmt: skip


def _words(hostile: bool) -> Iterator[str]:
    """Endless texts, each different; the harmless ones have the length and the lines of the hostile ones."""
    at = 0
    while True:
        text = HOSTILE[at % len(HOSTILE)] + str(at)
        yield text if hostile else re.sub(r"[^\n]", "x", text[: -len(str(at))]) + str(at)
        at += 1


def _strange_session(texts: Iterator[str], random: Any) -> Session:
    def value(depth: int = 0) -> Any:
        kind = random.random()
        if depth < 2 and kind < 0.2:
            return [value(depth + 1) for _ in range(3)]
        if depth < 2 and kind < 0.4:
            return {next(texts): value(depth + 1) for _ in range(2)}
        return random.choice([1, None, True, 2.5]) if kind < 0.5 else next(texts)

    steps = []
    for n in range(40):
        parent = random.choice([None, *range(max(n - 6, 0), n)]) if n else None
        data: dict[str, Any] = {
            "context": {next(texts): value() for _ in range(3)},
            "logs": [{"_t": T0 + n, "message": next(texts), next(texts): value()} for _ in range(2)],
            "usage": {"model": next(texts), "input_tokens": 5} if n % 9 == 0 else {},
            "thread": next(texts) if n % 7 == 0 else "",
            "notice": [next(texts)] if n % 10 == 0 else [],
        }
        error, traceback = next(texts), "Traceback\n" + next(texts)
        if n % 5 == 0:
            data |= {"outcome": "error", "error": error, "traceback": traceback}
        elif n % 6 == 0:
            data |= {"outcome": next(texts)}
        elif n % 13 == 0:
            data |= {"outcome": "cancelled", "error": error}
        steps.append(step(n, parent, name=next(texts), open=n % 11 == 10, **data))
    info = {"agent": next(texts), "session_id": next(texts), "meta": {next(texts): value() for _ in range(4)}}
    damage = [Damage(next(texts), 1, 2, next(texts), 3)]
    return fold(steps, state="died", info=info, damage=damage, notices=[next(texts)])


def _without_code_spans(line: str) -> str:
    """CommonMark 6.1: a span ends at the first run of ticks as long as the one that opened it."""
    out = []
    while (found := re.search(r"(?<![\\`])`+", line)) is not None:
        ticks = found[0]
        end = re.search(rf"(?<!`){ticks}(?!`)", line[found.end() :])
        if end is None:
            break
        out.append(line[: found.start()])
        line = line[found.end() + end.end() :]
    return "".join(out) + line


OURS = re.compile(r"<details><summary>(?:all|the first) [\d,]+(?: of [\d,]+)? characters</summary>"
                  r"|<details><summary>traceback</summary>|</details>")  # fmt: skip


def _structure(page: str) -> Counter[str]:
    """What a Markdown reader makes of the lines: headings, rows, items, fences; and what must not be there.

    How many values are folded depends on how long they are as JSON: only fences outside a fold are counted. How
    many values were seen before depends on what they are: those are items of a list, and are not counted.
    """
    found: Counter[str] = Counter()
    fence = ""
    origins = False  # in the list of where values came from
    before, old, behind = page.partition("## Decided on old values\n")  # which are old depends on what they are
    told, _, rest = behind.partition("\n## ")
    assert all(line.startswith(("- ", "  - ", "A newer")) for line in told.split("\n") if line), told
    for line in (f"{before}## {rest}" if old else page).split("\n"):
        body = line.strip(" ")
        if fence:
            if body == fence:
                fence = ""
            continue
        opening = re.fullmatch(r"(`{3,})(text|json)", body)
        if opening:
            fence = opening[1]
            found["unfolded fence"] += 1  # each folded one is taken off again below
        elif heading := re.match(r"#{1,6} ", line):
            found[heading[0]] += 1
        elif line.startswith("|"):
            found["row"] += 1
            found[f"row of {_without_code_spans(line).count('|')}"] += 1
        elif item := re.match(r" *(-|1\.) ", line):
            found[item[1]] += 1
        if line.startswith(("**Where it came from**", "**How it failed:**", "**What stopped it:**")):
            origins = line.startswith("**Where")
        elif origins:
            assert not line or line.startswith("- ")
            found["-"] -= line.startswith("- ")
        bare = _without_code_spans(line)
        found["unfolded fence"] -= bare.count("<details>")
        bare = OURS.sub("", bare)
        for sign in (r"<", r"(?<!\\)\]\(", r"(?<!\\)\]:", r"^ {0,3}((=+|-+) *$|>|~~~)"):
            assert not re.search(sign, bare), f"{sign} in {line!r}"
    assert not fence
    return found


def test_hostile_text_adds_nothing_to_the_page() -> None:
    """Whatever names, keys, values, errors and meta say, the page has the parts it has with harmless ones."""
    random = seeded()
    for _ in range(15):
        seed = random.random()
        random.seed(seed)
        hostile = _page(_strange_session(_words(True), random))
        random.seed(seed)
        harmless = _page(_strange_session(_words(False), random))
        assert _structure(harmless) == _structure(hostile)
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202e\ud800]", hostile.replace("\t", ""))
        random.seed(seed + 1)


def test_hostile_text_adds_nothing_to_the_terminal() -> None:
    """Each line that is meant is one line, within the width, without a control character but our colours."""
    random = seeded()
    for style in (Style(width=60), Style(width=60, color=True), Style(width=60, unicode=False, full=True)):
        lines = list(terminal.session(_strange_session(_words(True), random), style, now=T0))
        for line in lines:
            plain = re.sub(r"\x1b\[[0-9;]*m", "", line) if style.color else line
            assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u202e\ud800]", plain), ascii(line)
            assert style.full or terminal.safe.width(plain) <= 60


@pytest.mark.parametrize("full", [False, True])
def test_a_very_deep_tree_stays_readable_on_the_terminal(full: bool) -> None:
    """Indentation stops growing; nothing recurses; every step has its line."""
    session = fold([step(n, n - 1 if n else None) for n in range(5_000)])
    lines = list(terminal.tree(session, Style(width=80, full=full)))

    assert 5_000 == len(lines)
    assert max(map(len, lines)) <= 100
