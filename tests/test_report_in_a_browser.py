"""The HTML report in a real browser: it can be searched, filtered, walked by keys; nothing in it acts or calls out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ai_trace import snapshot
from ai_trace.record import Record
from ai_trace.serve import Server
from ai_trace.session import Session, fold
from tests import browser
from tests.cli_world import START, World, step
from tests.payloads import PAYLOADS

pytestmark = pytest.mark.skipif(browser.path() is None, reason="no Chromium is installed")

SHOWN = "[...document.querySelectorAll('.part > li')].filter(li => !li.hidden && !li.parentNode.hidden).map(li => li.querySelector('.name').textContent)"
AT = "document.querySelector('li.at .name')?.textContent"
COUNT = "document.querySelector('#count').textContent"

Opener = Callable[..., browser.Page]


@pytest.fixture(name="chromium", scope="module")
def fixture_chromium() -> Iterator[browser.Browser]:
    """One browser for all tests."""
    chromium = browser.Browser()
    yield chromium
    chromium.close()


@pytest.fixture(name="show")
def fixture_show(chromium: browser.Browser, tmp_path: Path) -> Iterator[Opener]:
    """Opens a session as a page; whatever the test did, the page asked for nothing and complained of nothing."""
    pages = []

    def show(session: Session, anchor: str = "", **options: Any) -> browser.Page:
        path = tmp_path / "report.html"
        snapshot.write(session, path, "html")
        pages.append(chromium.open(path.as_uri() + anchor, **options))
        return pages[-1]

    yield show
    for page in pages:
        page.settle()
        assert [] == page.complaints
        assert [] == [address for address in page.requests[1:] if not address.startswith("data:image/")]
        page.close()


def _session(rows: list[dict[str, Any]], **options: Any) -> Session:
    records = [Record.from_data(row, id="x", open=row["outcome"] is None) for row in rows]
    return fold(records, info={"agent": "a", "session_id": "s"}, **options)


def _run() -> Session:
    """A small run: two roots with steps inside, one of them failed, one never ended."""
    rows = [
        step("morning", id="r1", duration_ms=5000),
        step("scan", id="s1", parent="r1", started_at=START + 1, context={"pair": "BTC"}, logs=[{"_t": START, "price": 4242}]),
        step("order", "error", id="o1", parent="r1", started_at=START + 2, error="refused", traceback="Traceback\n  x\n"),
        step("evening", id="r2", started_at=START + 10, duration_ms=3000),
        step("scan", id="s2", parent="r2", started_at=START + 11, context={"pair": "ETH"}),
        {**step("wait", id="w1", started_at=START + 12), "outcome": None, "duration_ms": None},
    ]
    return _session(rows, state="died")


def test_search_as_one_types_finds_what_steps_hold(show: Opener) -> None:
    """A word in a log that is folded away finds its step, shown with the steps around it; Esc brings all back."""
    page = show(_run())
    page.key("/")
    page.type("4242")

    page.until(f"{COUNT} === '1 of 6'")
    assert ["morning", "scan"] == page.js(SHOWN)
    page.key("Escape")
    page.until(f"{COUNT} === '6'")
    assert 6 == len(page.js(SHOWN))


def test_filters_by_outcome_and_name(show: Opener) -> None:
    """A switched off outcome hides its steps; a name shows only its own."""
    page = show(_run())
    page.js("document.querySelector('.chip.ok input').click()")
    page.until(f"{COUNT} === '2 of 6'")
    assert ["morning", "order", "wait"] == page.js(SHOWN)

    page.js("document.querySelector('.chip.ok input').click()")
    page.js("(box => { box.value = [...box.options].find(o => o.text.startsWith('scan')).value;"
            " box.dispatchEvent(new Event('input', {bubbles: true})) })(document.querySelector('#name'))")  # fmt: skip
    page.until(f"{SHOWN}.join() === 'morning,scan,evening,scan'")
    assert page.js(COUNT) == "2 of 6"


def test_keys_walk_open_fold_and_explain(show: Opener) -> None:
    """j and k walk, enter opens, e goes to the next failure, h folds, ? explains."""
    page = show(_run())
    page.key("j")
    page.key("j")
    assert page.js(AT) == "scan"
    page.key("k")
    assert page.js(AT) == "morning"
    page.key("Enter")
    assert page.js("document.querySelector('li.at details').open") is True
    page.key("e")
    assert page.js(AT) == "order"
    page.key("k")
    page.key("k")
    page.key("h")
    assert ["morning", "evening", "scan", "wait"] == page.js(SHOWN)
    page.key("j")
    assert page.js(AT) == "evening"
    page.key("?")
    assert page.js("document.querySelector('dialog').open") is True
    page.key("Escape")
    assert page.js("document.querySelector('dialog').open") is False


def test_a_link_to_a_step_opens_it(show: Opener) -> None:
    """`#step-<id>` in the address shows that step, open, marked, and in the window."""
    page = show(_run(), "#step-o1")

    assert page.js(AT) == "order"
    assert page.js("document.querySelector('#step-o1 > details').open") is True
    page.js("location.hash = 'step-s2'")
    page.until(f"document.querySelector('li.at')?.id === 'step-s2'")
    assert page.js("(box => box.top >= 0 && box.bottom <= innerHeight)(document.querySelector('#step-s2').getBoundingClientRect())")


def test_without_a_script_it_is_a_list_one_can_read(show: Opener) -> None:
    """No script: the verdict, every step, each opens by itself; what needs the script is not there."""
    page = show(_run(), script=False)
    text = page.js("document.body.innerText")

    assert "Died" in text and "refused" in text
    assert 6 == page.js("[...document.querySelectorAll('.part > li')].filter(li => li.getBoundingClientRect().height > 10).length")
    assert "Search" not in text and "Timeline" not in text


def test_the_timeline_draws_every_outcome_and_leads_to_its_step(show: Opener) -> None:
    """Bars for what went well, failed, did not end; a click on one opens its step, a drag looks closer."""
    page = show(_run())
    page.settle()
    drawn = page.js("(c => [...new Set(Array.from(new Uint32Array(c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer)))].length)(document.querySelector('canvas'))")
    assert drawn > 5

    box = page.js("(b => [b.left, b.top, b.width])(document.querySelector('canvas').getBoundingClientRect())")
    point = {"x": box[0] + box[2] * 0.2, "y": box[1] + 24, "button": "left", "clickCount": 1}
    for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
        page.call("Input.dispatchMouseEvent", type=kind, **point)
    page.until(f"{AT} === 'morning'")
    assert "morning" in page.js("document.querySelector('#tip').textContent")

    page.js("scrollTo(0, 0)")
    for kind, share in (("mousePressed", 0.1), ("mouseMoved", 0.2), ("mouseMoved", 0.3), ("mouseReleased", 0.3)):
        page.call("Input.dispatchMouseEvent", type=kind, x=box[0] + box[2] * share, y=box[1] + 24, button="left", buttons=1)
    page.until("document.querySelector('#span').textContent.includes(' to ')")


@pytest.mark.parametrize("width", [400, 1000, 1600])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_fits_every_window(show: Opener, width: int, dark: bool) -> None:
    """No width makes one scroll sideways; the colours follow the reader's choice."""
    page = show(_run(), width=width, dark=dark)

    assert page.js("document.documentElement.scrollWidth") <= width
    paper = page.js("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") is not dark


def test_no_payload_in_any_field_does_anything(show: Opener) -> None:
    """Every payload in every field at once, all steps opened, searched, hovered: nothing runs, nothing is fetched."""
    rows = []
    for n, text in enumerate(PAYLOADS):
        rows.append(
            step(text, "error", id=f"{n:016x}", error=text, traceback=f"x\n{text}", thread=text, task=text, started_at=START + n,
                 context={text: text, "list": [text, {text: [text] * 3}]}, logs=[{"_t": START, "message": text, text: text}],
                 usage={"model": text})
        )  # fmt: skip
        rows.append(step(f"{n}", text, id=text, parent=f"{n:016x}", started_at=START + n))
    records = [Record.from_data(row, id="x") for row in rows]
    everything = "".join(PAYLOADS)
    session = fold(records, info={"agent": everything, "session_id": everything, "meta": {everything: everything}},
                   state="ended", notices=PAYLOADS)  # fmt: skip
    page = show(session)
    page.js("for (const one of document.querySelectorAll('details')) one.open = true")
    page.key("/")
    page.type("alert")
    page.key("Enter")
    page.js("for (const one of document.querySelectorAll('*')) one.dispatchEvent(new MouseEvent('mouseover', {bubbles: true}))")
    page.settle()

    assert page.js("document.querySelectorAll('script').length") == 2
    assert page.js("document.querySelectorAll('iframe, object, embed, link, base, svg, img').length") == 0
    assert page.js("[...document.querySelectorAll('a')].every(a => a.getAttribute('href').startsWith('#'))") is True


def test_the_policy_stops_what_would_come_through_unescaped(show: Opener) -> None:
    """Even an element with a handler, put into the page by force, does not run."""
    page = show(_run())
    page.js("document.body.insertAdjacentHTML('beforeend', '<img src=\"data:image/png;base64,AA\" onerror=\"window.hit = 1\"><button onclick=\"window.hit = 1\">')")
    page.js("document.body.lastElementChild.click()")
    page.settle()

    assert page.js("window.hit ?? null") is None
    assert page.complaints and all("Content Security Policy" in text for text in page.complaints)
    page.complaints.clear()


def test_ten_thousand_steps_are_there_at_once_and_can_be_searched(show: Opener) -> None:
    """A browser lays out no more of them than stand near the window; search and keys go on working.

    When the first picture came is noted and not judged: a loaded machine is slow at everything.
    """
    rows = [
        step(f"kind {n % 7}", "error" if n % 1000 == 999 else "ok", id=f"{n:016x}", started_at=START + n / 10, duration_ms=90,
             error="no" if n % 1000 == 999 else None, context={"tick": n, "pair": "BTC"}, logs=[{"_t": START, "price": n * 1.5}])
        for n in range(10_000)
    ]  # fmt: skip
    page = show(_session(rows, state="ended"))

    assert 10_000 == page.js("document.querySelectorAll('.part > li').length")
    painted, loaded = page.js("[performance.getEntriesByName('first-contentful-paint')[0].startTime, performance.getEntriesByType('navigation')[0].loadEventEnd]")
    print(f"first picture {painted:.0f} ms, loaded {loaded:.0f} ms from the start of the navigation")
    assert painted > 0
    laid_out = page.js("[...document.querySelectorAll('.part')].filter(part => part.checkVisibility({contentVisibilityAuto: true})).length")
    assert laid_out <= 100
    page.key("e")
    assert page.js("document.querySelector('li.at').id") == f"step-{999:016x}"
    page.key("/")
    page.type("14998.5")
    page.until(f"{COUNT} === '1 of 10,000'")
    assert ["kind 3"] == page.js(SHOWN)


def test_a_search_shows_where_it_found_what_it_found(show: Opener) -> None:
    """Below the line of a step that holds it where the line does not show it; gone with the search."""
    page = show(_run())
    page.key("/")
    page.type("424")
    page.until("document.querySelectorAll('.hit').length === 1")
    assert ["424", "scan"] == page.js("[document.querySelector('.hit mark').textContent, document.querySelector('.hit').closest('li').querySelector('.name').textContent]")
    page.key("Escape")
    page.until("document.querySelectorAll('.hit').length === 0")


def test_texts_are_of_one_size_wherever_they_stand(show: Opener) -> None:
    """A value, a long text in it, one in a log, one in a message: none is smaller than the others."""
    long = "word " * 200
    session = _session([
        step("ask", id="a1", context={"short": "x", "prompt": long, "messages": [{"role": "user", "content": long}], "list": [{"a": long}]},
             logs=[{"_t": START, "message": long, "answer": long, "few": 1}])
    ])  # fmt: skip
    page = show(session)
    page.js("for (const one of document.querySelectorAll('details')) one.open = true")

    assert 1 == page.js("new Set([...document.querySelectorAll('#list pre, #list dd, #list .logs code')].map(one => getComputedStyle(one).fontSize)).size")


def test_a_page_is_printed_with_what_its_steps_hold(show: Opener) -> None:
    """The printer gets them open; behind it the page is as it was."""
    page = show(_run())
    opened = "document.querySelectorAll('#list > ol > li > details[open]').length"

    assert [0, 6, 0] == [page.js(opened), page.js(f"dispatchEvent(new Event('beforeprint')), {opened}"), page.js(f"dispatchEvent(new Event('afterprint')), {opened}")]


@pytest.mark.parametrize("width", [400, 1000, 1600])
def test_the_list_of_sessions_fits_the_window(chromium: browser.Browser, tmp_path: Path, width: int) -> None:
    """A table where there is room, cards where there is not; nothing to scroll sideways, no word broken."""
    world = World(tmp_path / "traces")
    world.session("an_agent_with_a_name_that_is_rather_long", steps=[step("a", "error", duration_ms=2500.0)])
    server = Server(str(world.path))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        page = chromium.open(server.address, width=width)
        assert page.js("document.documentElement.scrollWidth") <= width
        assert page.js("[...document.querySelectorAll('.scroll')].every(one => one.scrollWidth <= one.clientWidth)")
        assert (width > 700) is page.js("document.querySelector('thead').checkVisibility()")
        assert page.js("document.querySelector('.state').getClientRects().length") == 1
        page.close()
    finally:
        server.stop()
        thread.join()
        world.release()


def test_a_running_session_grows_on_the_page(chromium: browser.Browser, tmp_path: Path) -> None:
    """The live view shows a step that ended and one that began, keeps what is open, and sees the end."""
    world = World(tmp_path / "traces")
    row = step("wait", started_at=START + 5, id="f" * 16)
    path = world.running(steps=[step("begin", id="b" * 16)], open_steps=[row])
    server = Server(str(world.path))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        page = chromium.open(f"{server.address}session/trader_20260225_061320")
        assert ["begin", "wait"] == page.js(SHOWN)
        page.js("document.querySelector('#list details').open = true")
        world.begins(path, step("more", started_at=START + 6, id="e" * 16))
        page.until(f"{SHOWN}.join() === 'begin,wait,more'")
        world.ends(path, row)
        page.until(f"document.querySelector('#step-{'f' * 16}').className.startsWith('ok')")
        assert page.js("document.querySelector('#list details').open") is True
        world.ends(path, step("more", started_at=START + 6, id="e" * 16))
        world.end(path)
        page.until("document.querySelector('.state').textContent === 'ended'")
        assert [] == page.complaints
        assert all(address.startswith(server.address) for address in page.requests)
        page.close()
    finally:
        server.stop()
        thread.join()
        world.release()
