"""A session as a trajectory: Harbor's Agent Trajectory Interchange Format, ATIF v1.7, one JSON document.

By Harbor's RFC 0001 and its model (`harbor.models.trajectories`). A trajectory is a list of turns, a
session is a tree of steps; so the steps come in the order in which they began, and each turn's
`extra.ai_trace` has the step's id, parent, outcome and times, from which the tree can be built again:

- a step that called a model is a turn of the agent: its answer, reasoning, tool calls, tokens and cost. The
  messages it was given that no turn before it showed (system, user) come as turns of their own before it;
- a tool step that answers one of those calls (by `gen_ai.tool.call.id`) is the observation in that turn;
- any other step is a turn without a model (`llm_call_count` 0): a call of the step's name with its context as
  arguments, and its logs or its error as the observation.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from .. import genai
from ..record import VERSION, Record, number
from ..session import Session
from ..tree import ended_at
from . import values
from .losses import Losses
from .messages import Call, Message, arguments_of, read
from .values import text_of

__all__ = ["SCHEMA", "export", "trajectory"]

SCHEMA: Final = "ATIF-v1.7"
Plain = dict[str, Any]


def export(session: Session, losses: Losses) -> Iterator[bytes]:
    """The trajectory, a turn a line."""
    whole = trajectory(session, losses)
    steps = whole.pop("steps")
    yield (values.compact(whole)[:-1] + ',"steps":[\n').encode("ascii")
    for at, step in enumerate(steps):
        yield (",\n" if at else "").encode("ascii") + values.compact(step).encode("ascii")
    yield b"\n]}\n"


def trajectory(session: Session, losses: Losses) -> Plain:
    """The whole document as plain data."""
    turns = _Turns(session, losses).turns
    if not turns:  # a trajectory needs one
        turns = [{"source": "system", "message": "The session has no steps."}]
    losses.format("the tree of steps is a list here; extra.ai_trace.parent tells it")
    if any(record.logs for record in session.steps):
        losses.format("the time of each log")
    losses.count("stretches of damage in the files, which are no steps", len(session.damage))
    version = session.meta.get("version")
    header: Plain = {
        "schema_version": SCHEMA,
        "session_id": session.id or values.trace_id(session),
        "trajectory_id": values.trace_id(session),
        "agent": {
            "name": session.agent or "unknown",
            "version": version if isinstance(version, str) else "unknown",
            "model_name": _most_used_model(session),
            "extra": {"meta": session.meta} if session.meta else None,
        },
        "notes": "\n".join(session.notices) or None,
        "final_metrics": _final(session, len(turns)),
        "extra": {"ai_trace": _about(session)},
        "steps": [{"step_id": at, **turn} for at, turn in enumerate(turns, 1)],
    }  # fmt: skip
    known: Plain = _without_none(header)
    return known


class _Turns:
    """The turns of a session, as far as they are made."""

    def __init__(self, session: Session, losses: Losses) -> None:
        self.turns: list[Plain] = []
        self._losses = losses
        self._shown: set[tuple[str, str]] = set()  # messages that a turn shows already
        self._asked: dict[str, Plain] = {}  # id of a tool call -> the turn that waits for its result
        for record in session.steps:
            self._take(record)
            record.shed()

    def _take(self, record: Record) -> None:
        said = genai.attributes(record)
        call_id = said.get(genai.CALL_ID)
        if said and said[genai.OPERATION] not in ("execute_tool", "invoke_agent", "create_agent"):
            self._model(record, said)
        elif isinstance(call_id, str) and call_id in self._asked:
            turn = self._asked.pop(call_id)
            result = {"source_call_id": call_id, "content": _outcome(record, said), "extra": _extra(record)}
            turn.setdefault("observation", {"results": []})["results"].append(result)
        else:
            self._deed(record, said)

    def _model(self, record: Record, said: Plain) -> None:
        asked = read(said.get(genai.INSTRUCTIONS), "system") + read(said.get(genai.INPUT_MESSAGES), "user")
        for message in asked:
            self._show(message, record)
        answered = read(said.get(genai.OUTPUT_MESSAGES), "assistant")
        self._shown.update((message.role, message.text) for message in answered)
        calls = [call for message in answered for call in message.calls]
        tool_calls = [self._call(call, record, at) for at, call in enumerate(calls)]
        turn: Plain = {
            "timestamp": values.iso(record.started_at),
            "source": "agent",
            "model_name": _model_name(said),
            "message": "\n".join(message.text for message in answered if message.text),
            "reasoning_content": "\n".join(message.reasoning for message in answered if message.reasoning)
            or None,
            "tool_calls": tool_calls or None,
            "metrics": _metrics(said),
            "llm_call_count": 1,
            "extra": _extra(record, {"context": _rest(record.context, record), "logs": _logged(record)}),
        }
        self.turns.append(turn)
        self._asked.update((call["tool_call_id"], turn) for call in tool_calls)
        if record.error:
            turn["observation"] = {"results": [{"content": record.error}]}
        others = sum(len(message.other) for message in (*asked, *answered))
        self._losses.count("images, audio and other parts of messages that are no text", others)

    def _show(self, message: Message, record: Record) -> None:
        """A system or user message as a turn, where none has shown it."""
        key = (message.role, message.text)
        if key in self._shown or message.role in ("assistant", "model", "tool") or not message.text:
            return
        self._shown.add(key)
        source = "system" if message.role in ("system", "developer") else "user"
        self.turns.append(
            {"timestamp": values.iso(record.started_at), "source": source, "message": message.text}
        )

    def _call(self, call: Call, record: Record, at: int) -> Plain:
        return {
            "tool_call_id": call.id or f"{record.id}-{at}",
            "function_name": call.name or "(unnamed)",
            "arguments": arguments_of(call.arguments),
        }

    def _deed(self, record: Record, said: Plain) -> None:
        """A step without a model."""
        arguments = arguments_of(said[genai.ARGUMENTS]) if genai.ARGUMENTS in said else record.context
        call_id = said.get(genai.CALL_ID)
        call_id = call_id if isinstance(call_id, str) and call_id else record.id
        name = text_of(said.get(genai.TOOL) or record.name)
        self.turns.append(
            {
                "timestamp": values.iso(record.started_at),
                "source": "agent",
                "message": record.name,
                "tool_calls": [{"tool_call_id": call_id, "function_name": name, "arguments": arguments}],
                "observation": {"results": [{"source_call_id": call_id, "content": _outcome(record, said)}]},
                "llm_call_count": 0,
                "extra": _extra(record),
            }
        )


def _outcome(record: Record, said: Plain) -> str:
    """What came of a step: its result, or its logs; and its error."""
    if genai.RESULT in said:
        told = text_of(said[genai.RESULT])
    else:
        told = "\n".join(text_of(entry["message"]) if set(entry) == {"message"} else values.compact(entry)
                         for entry in _logged(record))  # fmt: skip
    return "\n".join(part for part in (told, f"error: {record.error}" if record.error else "") if part)


def _logged(record: Record) -> list[Plain]:
    """The logs without their times and without GenAI attributes."""
    return [kept for entry in record.logs if (kept := _rest(entry, record, "_t"))]


def _rest(part: Plain, record: Record, *but: str) -> Plain:
    return {key: value for key, value in part.items() if key not in but and not genai.takes(record, key)}


def _extra(record: Record, more: Plain | None = None) -> Plain:
    own = {
        "id": record.id, "parent": record.parent, "name": record.name,
        "outcome": "unfinished" if record.open else record.outcome, "error": record.error,
        "started_at": values.iso(record.started_at),
        "finished_at": None if record.open else values.iso(ended_at(record)),
        "duration_ms": record.duration_ms, "thread": record.thread, "task": record.task,
        "traceback": record.traceback,
        **{key: value for key, value in (more or {}).items() if value},
    }  # fmt: skip
    return {"ai_trace": {key: value for key, value in own.items() if value is not None}}


def _about(session: Session) -> Plain:
    span = {"started_at": values.iso(session.started_at), "ended_at": values.iso(session.ended_at)}
    return {"writer": VERSION, "state": session.state, **span, "dropped": session.dropped}


def _most_used_model(session: Session) -> str | None:
    named = [usage for usage in session.totals.usage if usage.model]
    return max(named, key=lambda usage: usage.steps).model if named else None


def _model_name(said: Plain) -> str | None:
    name = said.get(genai.RESPONSE_MODEL) or said.get(genai.MODEL)
    return name if isinstance(name, str) else None


def _metrics(said: Plain) -> Plain | None:
    cost = number(said.get(genai.COST))
    found = {
        "prompt_tokens": values.whole(said.get(genai.USAGE["input_tokens"])),
        "completion_tokens": values.whole(said.get(genai.USAGE["output_tokens"])),
        "cached_tokens": values.whole(said.get(genai.USAGE["cached_tokens"])),
        "cost_usd": cost,
    }
    reasoning = values.whole(said.get(genai.USAGE["reasoning_tokens"]))
    known: Plain = {key: value for key, value in found.items() if value is not None}
    if reasoning is not None:
        known["extra"] = {"reasoning_tokens": reasoning}
    return known or None


def _final(session: Session, turns: int) -> Plain:
    sums: dict[str, float] = {}
    for usage in session.totals.usage:
        for word, value in usage.sums.items():
            sums[word] = sums.get(word, 0) + value
    return {
        "total_prompt_tokens": values.whole(sums.get("input_tokens")),
        "total_completion_tokens": values.whole(sums.get("output_tokens")),
        "total_cached_tokens": values.whole(sums.get("cached_tokens")),
        "total_cost_usd": sums.get("cost_usd"),
        "total_steps": turns,
    }


def _without_none(value: Plain) -> Plain:
    """*value* without the fields of the format that are not known; what the agent said keeps its nulls."""
    found = {key: part for key, part in value.items() if part is not None}
    for key in ("agent", "final_metrics"):
        found[key] = {name: part for name, part in found[key].items() if part is not None}
    found["steps"] = [
        {key: part for key, part in step.items() if part is not None} for step in found["steps"]
    ]
    return found
