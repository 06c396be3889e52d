"""The HTML report: one page that holds everything, asks for nothing, and in which nothing recorded can act."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from ai_trace import Tracer, load
from ai_trace.record import Record
from ai_trace.render import html, html_places
from ai_trace.session import Session, fold
from tests.cli_world import START, World, step
from tests.payloads import PAYLOADS

PNG = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
VOID = {"meta", "input", "img", "br"}


class Parsed(HTMLParser):
    """A page taken apart: its elements, attributes, texts; an element that is left open is an error."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: Counter[str] = Counter()
        self.values: list[tuple[str, str, str]] = []
        self.text = ""
        self.inside: dict[str, list[str]] = {"style": [], "script": []}
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        if tag not in VOID:
            self._open.append(tag)
        for name, value in attrs:
            self.attributes[name] += 1
            self.values.append((tag, name, value or ""))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] in self.inside:
            self.inside[self._open[-1]].append(data)
        else:
            self.text += data

    @property
    def shape(self) -> tuple[Counter[str], Counter[str]]:
        return self.tags, self.attributes


def _page(session: Session, **options: Any) -> str:
    return "".join(html.page(session, now=START + 100, **options))


def _session(text: str = "plain", **info: Any) -> Session:
    """A session with *text* in every field that a recorder, or another program, can fill."""
    a, b = "a" * 16, "b" * 16
    rows = [
        step(f"name {text}", "error", id=a, error=f"E: {text}", traceback=f"Traceback\n  {text}\n", thread=text, task=text,
             context={f"key {text}": text, "deep": {"list": [text, {f"k {text}": [text]}], "long": "x" * 200}},
             logs=[{"_t": START, "message": text, f"field {text}": text}], usage={"model": text, "input_tokens": 3}),
        step("other", f"outcome {text}", id=b, parent=a, context={"text": text}),
        step("bad id", id=f"id {text}", parent=a),
    ]  # fmt: skip
    records = [Record.from_data(row, id="x") for row in rows]
    head = {"agent": text, "session_id": text, "meta": {f"meta {text}": text}, "state": text}
    return fold(records, info={**head, **info}, notices=[text], state="ended")


def test_the_hashes_of_the_policy_are_those_of_the_style_and_the_script() -> None:
    """The browser runs our script and uses our style, and nothing else: the page says so itself."""
    parsed = Parsed(_page(_session()))
    policy = next(value for tag, name, value in parsed.values if tag == "meta" and "default-src" in value)
    script = parsed.inside["script"][-1]

    assert policy.startswith("default-src 'none'; ")
    for kind, text in (("style", parsed.inside["style"][0]), ("script", script)):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy and "connect-src" not in policy


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_recorded_text_changes_what_the_page_is_made_of(payload: str) -> None:
    """Whatever the text, in every field at once, the page has the same elements and attributes."""
    harmless = re.sub(r"\S", "x", payload.replace("\0", "0"))

    page = Parsed(_page(_session(payload)))

    assert Parsed(_page(_session(harmless))).shape == page.shape
    assert page.tags["script"] == 2
    assert not [name for name in page.attributes if name.startswith("on") or name in ("style", "srcdoc", "action")]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_the_data_of_the_script_is_json_that_no_html_can_end(payload: str) -> None:
    """The embedded data holds no sign that HTML knows, and is what it was when read again."""
    data = Parsed(_page(_session(payload))).inside["script"][0]

    assert not set("<>&\u2028\u2029") & set(data)
    assert len(json.loads(data)["rows"]) == 3


def test_every_address_in_the_page_is_its_own_or_a_picture() -> None:
    """Nothing is loaded from anywhere, and no recorded address becomes a link."""
    session = fold([Record.from_data(step("see", context={"url": "https://example.org/a", "picture": PNG}), id="x")])
    page = Parsed(_page(session))
    addresses = [value for _, name, value in page.values if name in ("href", "src", "srcset", "data", "poster")]

    assert all(address.startswith(("#", "data:image/png;base64,")) for address in addresses)
    assert PNG in addresses
    assert "url(" not in page.inside["style"][0] and "@import" not in page.inside["style"][0]


@pytest.mark.parametrize(
    "text",
    [
        "data:image/svg+xml;base64,PHN2Zz4=",
        "data:text/html;base64,PHNjcmlwdD4=",
        'data:image/png;base64,AAAA" onerror="x',
        "data:image/png,raw",
        "data:image/png;base64," + "A" * 500_000,
    ],
    ids=["svg", "html", "quote", "not base64", "huge"],
)
def test_only_small_pictures_that_cannot_act_are_shown(text: str) -> None:
    """A picture is shown from its own bytes, when it is of a kind without scripts; else its text is."""
    assert Parsed(_page(fold([Record.from_data(step("see", context={"picture": text}), id="x")]))).tags["img"] == 0


def test_recorded_bytes_of_a_picture_are_shown_as_one() -> None:
    """`{"$bytes", "base64"}`, as bytes are recorded, is a picture where it begins like one."""
    encoded = PNG.partition(",")[2]
    value = {"$bytes": 70, "base64": encoded}

    page = Parsed(_page(fold([Record.from_data(step("see", context={"picture": value}), id="x")])))

    assert page.tags["img"] == 1


def test_the_page_says_it_all_without_a_script() -> None:
    """Every name, value, log, error and traceback is text in the page itself, and each step can be opened."""
    page = Parsed(_page(_session("needle")))
    steps = [value for tag, name, value in page.values if tag == "li" and name == "id"]

    assert ["step-" + "a" * 16, "step-" + "b" * 16, "step-n3"] == sorted(steps)
    for text in ("name needle", "key needle", "E: needle", "field needle", "Traceback", "meta needle", "outcome needle"):
        assert text in page.text
    assert page.tags["details"] >= 3
    assert {"timeline", "tools"} <= {value for _, name, value in page.values if name == "id"}


def test_the_first_screen_says_what_went_wrong_and_where() -> None:
    """Before the list stand the verdict and the step that failed first, with what it saw."""
    before = Parsed(_page(_session("needle")).partition('<section id="steps">')[0] + "</main></body></html>").text

    assert "Failed" in before and "Where it first went wrong" in before
    assert "E: needle" in before and "key needle" in before


def test_a_run_that_was_stopped_shows_where() -> None:
    """The innermost step that was cancelled stands on the first screen; a cancelled one that was survived does not."""
    run = step("run", "cancelled", id="1" * 16, duration_ms=9000.0, error="SystemExit: 3")
    call = step("call", "cancelled", id="2" * 16, parent="1" * 16, error="SystemExit: 3", context={"q": "needle"})
    text = _page(fold([Record.from_data(row, id="x") for row in (run, call)]))
    before = Parsed(text.partition('<section id="steps">')[0] + "</main></body></html>").text

    assert "Stopped" in before and "Where it was stopped" in before and "SystemExit: 3" in before and "needle" in before
    well = step("run", id="1" * 16, duration_ms=9000.0)
    survived = _page(fold([Record.from_data(row, id="x") for row in (well, call)]))
    assert "Where it was stopped" not in survived and '<p class="verdict good">' in survived


def test_an_old_value_that_was_used_is_called_stale_and_linked_to_both_readings() -> None:
    """The report tells what a failed step knew that was no longer so."""
    rows = [
        step("market_scan", id="1" * 16, started_at=START, logs=[{"_t": START, "signal": 0.8731}]),
        step("market_scan", id="2" * 16, started_at=START + 60, logs=[{"_t": START + 60, "signal": 0.3125}]),
        step("decide", "error", id="3" * 16, started_at=START + 90, context={"signal": 0.8731}, error="lost money"),
    ]
    text = _page(fold([Record.from_data(row, id="x") for row in rows]))
    scene = text.partition("Decided on old values")[2].partition("</section>")[0]

    assert "stale" in scene and "1 m 30 s before" in scene and "30.0 s before and not used" in scene
    assert f"#step-{'1' * 16}" in scene and f"#step-{'2' * 16}" in scene and f"#step-{'3' * 16}" in scene
    assert text.index("Decided on old values") < text.index("Where it first went wrong")


def test_a_run_that_went_well_and_decided_on_old_values_says_so_first() -> None:
    """Nothing failed; the first screen names the latest decisions, and how many more there were."""
    rows = [step("scan", id=f"{n:016x}", started_at=START + n, logs=[{"_t": START + n, "signal": n + 0.8731}]) for n in (1, 2)]
    rows += [step("decide", id=f"{n:016x}", started_at=START + n, context={"signal": 1.8731}) for n in range(3, 8)]
    told = _page(fold([Record.from_data(row, id="x") for row in rows])).partition("Decided on old values")[2]
    shown, _, rest = told.partition("</section>")[0].partition("… and 2 more steps")

    assert 5 == told.count('<span class="old">1 old value</span>')
    assert ["7", "6", "5"] == re.findall(r"<p><a [^>]*>#(\d)", shown)
    assert ["4", "3"] == re.findall(r">#(\d)", rest)


def test_messages_are_shown_as_a_conversation() -> None:
    """Who said what, in order; calls of tools as calls; what else a message holds; a list of other objects is a list."""
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "What is <it>?"}]},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "c1", "function": {"name": "look", "arguments": '{"a": 1}'}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "42"},
    ]  # fmt: skip
    text = _page(fold([Record.from_data(step("ask", context={"messages": messages, "other": [{"role": 1}]}), id="x")]))
    chat = text.partition('<ol class="chat">')[2].partition("</ol>")[0]

    assert ["system", "user", "assistant", "tool"] == re.findall(r'class="role">(\w+)<', chat)
    assert "<div>Be brief.</div>" in chat and "<div>What is &lt;it&gt;?</div>" in chat and "<div>42</div>" in chat
    assert "<div>look({&quot;a&quot;: 1})</div>" in chat and "tool_call_id" in chat
    assert 1 == text.count('class="chat"')


def test_a_picture_that_was_cut_is_said_to_be_one() -> None:
    """Of recorded bytes past 4 KiB too little is there to show; the page says so, and what to do."""
    picture = {"$bytes": 9008, "$cut": {"bytes": 9008, "sha256": "0" * 64}, "base64": "iVBORw0KGgo" + "A" * 5000}
    text = _page(fold([Record.from_data(step("see", context={"picture": picture}), id="x")]))

    assert "A png picture of 8.8 KiB: of bytes only the first" in text
    assert "<img" not in text and "data:</code>" in text


def test_a_long_text_is_cut_and_says_how_long_it_was() -> None:
    """No value makes the page too large to open."""
    text = _page(fold([Record.from_data(step("see", context={"prompt": "word " * 100_000}), id="x")]))

    assert len(text) < 200_000
    assert "the first 20,000 of 500,000 characters" in text


def _many(monkeypatch: pytest.MonkeyPatch, limit: int, rows: list[dict[str, Any]]) -> tuple[list[str], str]:
    monkeypatch.setattr(html_places, "MAX_STEPS", limit)
    session = fold([Record.from_data(row, id="x") for row in rows])
    page = _page(session)
    shown = [value for tag, name, value in Parsed(page).values if tag == "li" and name == "id"]
    return [shown_id.removeprefix("step-") for shown_id in shown], page


def test_a_session_too_long_for_a_page_keeps_what_went_wrong_and_says_what_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Failed steps and those around them stay, then the latest; the rest is counted, with the way to it."""
    rows = [step("tick", id=f"t{n}", started_at=START + n) for n in range(50)]
    rows.insert(3, step("root", id="root", started_at=START + 2))
    rows.insert(4, step("broken", "error", id="bad", parent="root", error="no", started_at=START + 2.5))

    shown, page = _many(monkeypatch, 10, rows)

    assert ["root", "bad", *(f"t{n}" for n in range(42, 50))] == shown
    assert "42 of 52 steps are left out here" in page and "ai-trace view" in page


def test_a_chain_deeper_than_the_page_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps inside one another beyond all limits make a page, and no error."""
    rows = [step("deep", id=f"d{n}", parent=f"d{n - 1}" if n else None, started_at=START + n) for n in range(3000)]

    shown, page = _many(monkeypatch, 10, rows)

    assert len(shown) <= 10
    assert "are left out here" in page


def test_steps_beyond_the_room_of_the_page_show_their_line_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """What finished steps saw is left out of a page that is full; failures have as much room again."""
    monkeypatch.setattr("ai_trace.render.html_steps.MAX_BYTES", 2000)
    rows = [step("tick", id=f"t{n}", context={"a": "w" * 400}, started_at=START + n) for n in range(20)]
    rows.append(step("broken", "error", id="bad", context={"clue": "needle"}, error="no", started_at=START + 30))
    huge = {f"key {n}": "boulder " * 90 for n in range(10)}
    rows.append(step("broken", "error", id="huge", context=huge, error="no", started_at=START + 40))

    text = Parsed(_page(fold([Record.from_data(row, id="x") for row in rows]))).text

    assert "is left out here, as the page is long" in text
    below = text.partition("Steps")[2]
    assert "needle" in below and "boulder boulder" not in below.partition("#22")[2]


def test_save_html_writes_the_page_beside_the_journal(tmp_path: Path) -> None:
    """`tracer.save_html()` answers the path of a whole page, readable by its owner only."""
    tracer = Tracer("agent", trace_dir=tmp_path)
    with tracer.step("look", at="the sea"):
        pass

    path = tracer.save_html()
    tracer.close()

    assert path == tracer.path.with_suffix(".html")
    assert "the sea" in Parsed(path.read_text("utf-8")).text
    assert [path] == list(tmp_path.glob("*.html"))


# The command


@pytest.fixture(name="world")
def fixture_world(tmp_path: Path) -> World:
    world = World(tmp_path / "traces")
    world.session(id="20260225_061320", steps=[step("decide", context={"rate": 0.51})])
    world.session(id="20260226_061320", steps=[step("decide", context={"rate": 0.94})], start=START + 86400)
    return world


def test_report_writes_the_newest_session_beside_its_journal(world: World) -> None:
    """`ai-trace report` prints the path of the page."""
    done = world.call("report")

    assert (0, str(world.path / "trader_20260226_061320.html") + "\n") == (done.code, done.out)
    assert "0.94" in Path(done.out.strip()).read_text("utf-8")


def test_report_overwrites_no_file_of_the_users(world: World, tmp_path: Path) -> None:
    """`-o` names the user's file: it stays as it is without `--force`."""
    mine = tmp_path / "mine.html"
    mine.write_text("mine")

    assert world.call("report", "-o", str(mine)).code == 1
    assert mine.read_text() == "mine"
    assert world.call("report", "-o", str(mine), "--force").code == 0
    assert mine.read_text("utf-8").startswith("<!doctype html>")


def test_report_goes_to_standard_output(world: World) -> None:
    """`-o -` is for pipes."""
    assert world.call("report", "20260225", "-o", "-").out.startswith("<!doctype html>")


@pytest.mark.parametrize("payload", PAYLOADS)
def test_two_runs_compared_are_a_page_as_safe(payload: str, tmp_path: Path) -> None:
    """`report A --diff B`: what differs stands in its place, and no recorded text acts there either."""
    pages = []
    for text in (payload, re.sub(r"\S", "x", payload.replace("\0", "0"))):
        world = World(tmp_path / str(len(pages)))
        world.session(id="20260225_061320", steps=[step(text, id="a" * 16, context={text: f"{text} one"})])
        world.session(id="20260226_061320", steps=[step(text, id="a" * 16, context={text: f"{text} two"}), step(text)])
        done = world.call("report", "20260225", "--diff", "20260226", "-o", "-")
        pages.append(Parsed(done.out))

    assert pages[0].shape == pages[1].shape
    assert "2 differences" in pages[0].text and "only in B" in pages[0].text


def test_a_page_of_two_sessions_is_named_by_both(world: World) -> None:
    """What compares a run with a third one does not overwrite it; `prune` takes all of them along with the run."""
    import os

    world.session(id="20260227_061320")
    for other in ("20260226", "20260227"):
        done = world.call("report", "20260225", "--diff", other)
        assert str(world.path / f"trader_20260225_061320.diff.trader_{other}_061320.html") == done.out.strip()
    assert 2 == len(list(world.path.glob("*.diff.*.html")))
    for path in world.path.glob("trader_20260225*"):
        os.utime(path, (1, 1))
    assert 0 == world.call("prune", "--older", "1d", "--yes").code
    assert [] == list(world.path.glob("trader_20260225*"))


def test_a_report_of_nothing_is_a_page(tmp_path: Path) -> None:
    """A session without a step says so."""
    assert "Nothing was recorded" in Parsed(_page(fold([]))).text


def test_the_page_of_every_hostile_value_is_whole(tmp_path: Path) -> None:
    """Whatever an agent hands to the recorder, the report of it is a page."""
    from tests.hostile import HOSTILE

    tracer = Tracer("hostile", trace_dir=tmp_path)
    for name, make in HOSTILE:
        with tracer.step(name, value=make()):
            pass
    tracer.close()

    page = Parsed(_page(load(tracer.path)))

    assert len(HOSTILE) == sum(1 for tag, name, value in page.values if tag == "li" and name == "id")
