"""What the steps of a session knew, and which of them decided on old values. Pure.

Every step of a session is looked into where it is short; of a longer one those that failed, were stopped or did
not end, and the last to begin.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ..provenance import Knowledge, knowledge
from ..record import Record
from ..session import Session
from ..trail import Steps

__all__ = ["known", "on_old_values"]

EVERY: Final = 1_000  # steps, and
EVERY_BYTES: Final = 4 * 1024 * 1024  # in files: a session up to both is looked into as a whole
STANDING_OUT: Final = 50  # of a longer one, and
LATEST: Final = 20  # those that began last


def known(session: Session) -> dict[Record, Knowledge]:
    """What is known of the steps that are looked into."""
    targets = session.steps
    if len(targets) > EVERY or session.size > EVERY_BYTES:
        bad = [record for record in targets if record.open or record.outcome == "error"]
        targets = [*dict.fromkeys([*_bad(session), *bad])][:STANDING_OUT]
        targets = [*dict.fromkeys([*targets, *session.steps[-LATEST:]])]
    return knowledge(Steps(session.steps, session.path_to), targets) if targets else {}


def on_old_values(session: Session, told: Mapping[Record, Knowledge]) -> list[Knowledge]:
    """Those that used an old value while a newer one was there: first those that failed, then the latest."""
    order = dict.fromkeys([*_bad(session), *session.unfinished, *reversed(session.steps)])
    return [told[record] for record in order if record in told and told[record].stale]


def _bad(session: Session) -> list[Record]:
    return [*filter(None, (session.fatal_error, session.first_error, session.stopped_in))]
