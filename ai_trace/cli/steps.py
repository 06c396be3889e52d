"""Which step a person means: a word of the command line -> a step of the session, or a sentence why not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..reference import HELP
from ..render.words import plural
from .output import Stop

if TYPE_CHECKING:
    from ..record import Record
    from ..session import Session

__all__ = ["HELP", "pick"]

_SHOWN = 10  # candidates in a message


def pick(session: Session, word: str) -> Record:
    """The one step of *session* that *word* means; else the command ends with what it may have meant."""
    found = session.referred(word)
    if len(found) == 1:
        return found[0]
    if found:
        raise Stop(f"'{word}' means {plural(len(found), 'step')}:", rows=_listed(session, found))
    if word == "last-error":
        raise Stop("no step of this session failed")
    raise Stop(f"no step '{word}': the session has {plural(len(session.steps), 'step')}; {_forms(session)}")


def _forms(session: Session) -> str:
    name = session.steps[-1].name if session.steps else "NAME"
    return f"name one by the beginning of its id, as '#3', '{name}#1', 'last' or 'last-error'"


def _listed(session: Session, found: list[Record]) -> list[str]:
    numbers = {step: place for place, step in enumerate(session.steps, 1)}
    rows = [f"{step.id}  #{numbers[step]}  {step.name}" for step in found[:_SHOWN]]
    return rows + ([f"and {len(found) - _SHOWN:,} more"] if len(found) > _SHOWN else [])
