"""`at` in runs as agents have them: what was old is found under whatever name, and what is another thing is not."""

from __future__ import annotations

from typing import Any

import pytest

from ai_trace.session import Session, fold
from tests.records import T0, step


def _story(*steps: tuple[str, dict[str, Any], dict[str, Any]]) -> Session:
    """Steps ten seconds apart: name, context, and what was logged as each began."""
    return fold(
        step(10 * n, name=name, context=context, logs=[{"_t": T0 + 10 * n, **said}] if said else [])
        for n, (name, context, said) in enumerate(steps, 1)
    )


def _stale(session: Session) -> dict[str, Any]:
    """What the last step used although something newer was there: name -> the newer value."""
    return {piece.path: piece.newer.value for piece in session.at("last").stale if piece.newer is not None}


def test_a_cache_that_a_webhook_has_overtaken() -> None:
    """The newer value is nested one level deeper, under a word that only wraps."""
    story = _story(
        ("fetch_user", {"user_id": 1042}, {"user": {"id": 1042, "plan": "pro", "seats": 5}}),
        ("webhook", {}, {"data": {"user": {"id": 1042, "plan": "free", "seats": 1}}}),
        ("check_quota", {"user_id": 1042, "plan": "pro", "seats": 5}, {}),
    )
    assert {"plan": "free", "seats": 1} == _stale(story)


def test_a_webhook_about_somebody_else() -> None:
    """Beside the value stands another id."""
    story = _story(
        ("fetch_user", {"user_id": 1042}, {"user": {"id": 1042, "plan": "pro"}}),
        ("webhook", {}, {"data": {"user": {"id": 7, "plan": "free"}}}),
        ("check_quota", {"user_id": 1042, "plan": "pro"}, {}),
    )
    assert {} == _stale(story)


def test_the_same_call_for_another_user() -> None:
    """What was asked for stands in the contexts, as a number; a number that each call has anew says nothing."""
    asked = [("fetch", {"user_id": 1042, "request_id": 1}, {"plan": "professional"}), ("fetch", {"user_id": 7, "request_id": 2}, {"plan": "no charge"})]
    bill: dict[str, Any] = {"user_id": 1042, "request_id": 3, "plan": "professional"}

    assert {} == _stale(_story(*asked, ("bill", bill, {})))
    assert {"plan": "no charge"} == _stale(_story(asked[0], ("fetch", {"user_id": 1042, "request_id": 2}, asked[1][2]), ("bill", bill, {})))


def test_a_booking_at_the_price_of_the_first_search() -> None:
    """Of two results of one search tool; the flight is the same, its price is not."""
    flights = [{"result": {"flights": [{"no": "TP573", "price": price, "seats": seats}]}} for price, seats in ((189.0, 4), (264.0, 1))]
    search = {"to": "LIS", "date": "2024-03-12"}
    story = _story(("search", search, flights[0]), ("search", search, flights[1]), ("book", {"flight": "TP573", "price": 189.0}, {}))
    assert {"price": 264.0} == _stale(story)


@pytest.mark.parametrize("newer, stale", [("BTC", {"qty": 0.85}), ("ETH", {})])
def test_a_position_after_a_fill(newer: str, stale: dict[str, Any]) -> None:
    """The state of one coin is no newer state of another."""
    story = _story(
        ("portfolio", {}, {"state": {"positions": {"BTC": {"qty": 0.35}}}}),
        ("fill", {}, {"positions": {newer: {"qty": 0.85}}}),
        ("rebalance", {"qty": 0.35}, {}),
    )
    assert stale == _stale(story)


def test_the_limit_of_an_order_is_no_newer_price() -> None:
    """A key that names a thing of its own makes another value of it."""
    story = _story(("quote", {}, {"price": 101.25}), ("place", {}, {"order": {"price": 99.5}}), ("report", {"price": 101.25}, {}))
    assert {} == _stale(story)


def test_a_prompt_that_holds_an_old_price() -> None:
    """A text is as old as what stands in it; where the newer value stands there, too, it is not."""
    quotes = [("quote", {"symbol": "ACME"}, {"price": 1101.25}), ("quote", {"symbol": "ACME"}, {"price": 1099.5})]

    assert {"prompt": 1099.5} == _stale(_story(*quotes, ("ask", {"prompt": "ACME costs 1101.25. Buy?"}, {})))
    assert {} == _stale(_story(*quotes, ("ask", {"prompt": "ACME fell from 1101.25 to 1099.5. Buy?"}, {})))
    assert {} == _stale(_story(*quotes, quotes[0], ("ask", {"prompt": "ACME costs 1101.25. Buy?"}, {})))


def test_a_prompt_names_each_document_that_it_was_made_of() -> None:
    """All of the texts that stand in it, in their order, not the first alone."""
    documents = [{"id": "d1", "text": "Refunds are accepted within 30 days."}, {"id": "d2", "text": "Shipping takes 3 to 5 days."}]
    prompt = "Context:\n" + "\n".join(one["text"] for one in documents) + "\nQuestion: What is the refund window?"
    story = _story(("retrieve", {"query": "What is the refund window?"}, {"docs": documents}), ("answer", {"prompt": prompt}, {}))
    (piece,) = story.at("last").pieces

    assert ["docs[0].text", "docs[1].text", "query"] == [part.path for part in piece.contains]


def test_settings_that_many_steps_share_come_from_none_of_them() -> None:
    """`ok=true`, `timeout=30`: that an earlier step was given them, too, says nothing."""
    same = {"timeout": 30, "ok": True, "attempt": 3}
    known = _story(("call", same, {}), ("call", same, {"status": 200}), ("parse", {**same, "status": 200}, {})).at("last")

    assert ["status"] == [piece.path for piece in known.pieces if piece.linked]


def test_a_reading_that_is_equal_to_another_sensor_s_by_chance() -> None:
    """What steps of its name log each time, a step has read itself, whoever else had the same number before."""
    readings = [("north", 0.4711), ("south", 0.3112), ("north", 0.5213), ("south", 0.4711)]
    assert {} == _stale(_story(*((name, {}, {"signal": value}) for name, value in readings)))
