"""A recorded list → the turns of a conversation with a model, where it is one. Pure.

Known by its shape alone, as OpenAI, Anthropic and most others have it: every item is an object with a `role`
that is a short text, and something said: `content`, `parts`, `text`, or `tool_calls`.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from . import words

__all__ = ["Turn", "turns"]

_SAID: Final = ("content", "parts", "text")
_SIDES: Final = {"user": "asked", "human": "asked", "assistant": "answered", "model": "answered", "ai": "answered"}


class Turn(NamedTuple):
    """One message: who spoke, what was said in parts, and whatever else it holds."""

    role: str
    said: list[Any]
    rest: dict[str, Any]

    @property
    def side(self) -> str:
        """ "asked", "answered", or "between" for what neither the person nor the model said."""
        return _SIDES.get(self.role, "between")


def turns(given: list[Any]) -> list[Turn]:
    """The messages in *given*; [] where it is something else."""
    if not given or not all(_is_message(item) for item in given):
        return []
    return [_turn(item) for item in given]


def _is_message(item: Any) -> bool:
    if type(item) is not dict or type(item.get("role")) is not str or len(item["role"]) > 40:
        return False
    return "tool_calls" in item or any(type(item.get(name)) in (str, list) for name in _SAID)


def _turn(item: dict[str, Any]) -> Turn:
    name = next((name for name in _SAID if item.get(name)), "")
    given = item[name] if name else []
    said = [_part(part) for part in given] if type(given) is list else [given]
    calls = item.get("tool_calls")
    called = [_call(call) for call in calls] if type(calls) is list else []
    told = {"role", name, "tool_calls" if called and all(called) else ""}
    rest = {key: part for key, part in item.items() if key not in told and part is not None}
    return Turn(item["role"], [*said, *called] if "tool_calls" in told else said, rest)


def _call(call: Any) -> str:
    """A call of a tool as `name(arguments)`; "" where it has another shape."""
    function = call.get("function") if type(call) is dict else None
    if type(function) is not dict or type(function.get("name")) is not str:
        return ""
    given = function.get("arguments")
    return f"{function['name']}({given if type(given) is str else words.compact(given)})"


def _part(part: Any) -> Any:
    """A part of a message; one that is a text and says so is that text, a picture its address."""
    if type(part) is not dict:
        return part
    if type(part.get("text")) is str and part.keys() <= {"type", "text"}:
        return part["text"]
    if part.get("type") == "tool_use" and type(part.get("name")) is str and part.keys() <= {"type", "id", "name", "input"}:
        return f"{part['name']}({words.compact(part.get('input'))})"
    picture = part.get("image_url")
    if type(picture) is dict and type(picture.get("url")) is str and part.keys() <= {"type", "image_url"}:
        return picture["url"]
    return part
