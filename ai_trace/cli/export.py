"""`ai-trace export`: a session in the format of another tool, as a file or sent to a collector.

A file is whole or absent, and none that is there already is overwritten without `--force`; only a database
takes further sessions. What the format could not carry is told on standard error. Nothing leaves this machine
unless an address is given.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from .. import folder, safe, whole
from ..exceptions import TraceError
from ..render import words
from . import choose
from .output import Output, Stop

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from ..exporters.losses import Losses
    from ..exporters.post import Collector
    from ..session import Session

__all__ = ["HELP", "EXAMPLES", "arguments", "run"]

HELP = "Write a session in the format of another tool, or send it to a collector."
EXAMPLES = """
examples:
  ai-trace export latest --otlp trace.jsonl          OpenTelemetry spans, one request a line
  ai-trace export latest --otlp http://localhost:4318
  ai-trace export latest --otlp http://localhost:6006 --openinference    to Phoenix
  ai-trace export latest --otlp http://localhost:4318 --follow           as it happens
  ai-trace export latest --perfetto trace.json       then open it in ui.perfetto.dev
  ai-trace export latest --csv - | head
  ai-trace export 20260301 --sqlite all.db && datasette all.db

A collector that wants a key: OTEL_EXPORTER_OTLP_HEADERS='Authorization=Basic%20...' ai-trace export ..."""

_FORMATS: Final = MappingProxyType(
    {
        "otlp": "OpenTelemetry spans (OTLP): to a file, or to a collector (http://HOST:PORT)",
        "atif": "Agent Trajectory Interchange Format 1.7, the format of Harbor",
        "perfetto": "Chrome trace JSON, for ui.perfetto.dev, chrome://tracing, speedscope",
        "csv": "a table, one row a step",
        "sqlite": "a database with the tables sessions, steps, logs; one that is there takes the session in",
    }
)
"""Option, and file in `exporters/` -> its help."""


def arguments(parser: ArgumentParser) -> None:
    """The options of `export`."""
    add = parser.add_argument
    add("session", nargs="?", metavar="SESSION", help=choose.HELP)
    for name, text in _FORMATS.items():
        add(f"--{name}", metavar="FILE|URL" if name == "otlp" else "FILE", help=text)
    add(
        "--openinference",
        action="store_true",
        help="with --otlp: OpenInference attributes, too (for Phoenix)",
    )
    more = "with --otlp URL: go on until the session is over; started again, from where it stood"
    add("--follow", action="store_true", help=more)
    add(
        "--header",
        action="append",
        default=[],
        metavar="'NAME: VALUE'",
        help="with --otlp URL: send this header",
    )
    add("--force", action="store_true", help="overwrite FILE ('-' is standard output)")


def run(args: Namespace, out: Output) -> int:
    """Write or send; 0 when all of it was taken, 1 when not."""
    asked = {name: target for name in _FORMATS if (target := getattr(args, name)) is not None}
    _check(args, asked)
    for name, target in asked.items():
        if not _sends(name, target):
            _refuse(target, args.force, name)
    with choose.picked(args.session, args.dir) as source:
        if args.follow:
            return _follow(source, args, out)
        session = folder.load(source)
        if session.state == "running":
            out.message(
                f"{safe.one_line(session.agent)} {session.id} is still running; this is how far it is now"
            )
        done = [_export(session, name, target, args, out) for name, target in asked.items()]
    return max(done)


def _check(args: Namespace, asked: dict[str, str]) -> None:
    """Refuse words that do not go together."""
    url = "otlp" in asked and _sends("otlp", asked["otlp"])
    if not asked:
        raise Stop(f"say which format: {', '.join(f'--{name} FILE' for name in _FORMATS)}", 2)
    if args.openinference and "otlp" not in asked:
        raise Stop("--openinference goes with --otlp", 2)
    if args.header and not url:
        raise Stop("--header goes with --otlp URL", 2)
    if args.follow and (not url or len(asked) > 1 or args.session == "-"):
        raise Stop("--follow goes with --otlp URL alone, and a session in a folder", 2)
    if list(asked.values()).count("-") > 1:
        raise Stop("standard output takes one format", 2)
    if asked.get("sqlite") == "-":
        raise Stop("a database does not go to standard output; name a file", 2)


def _sends(name: str, target: str) -> bool:
    return name == "otlp" and target.lower().startswith(("http://", "https://"))


def _export(session: Session, name: str, target: str, args: Namespace, out: Output) -> int:
    """One format; 0 when all was taken."""
    from ..exporters.losses import Losses

    losses = Losses()
    code = 0
    if _sends(name, target):
        code = _send(session, _collector(args, out), losses, args, out)
    elif name == "sqlite" and not (args.force and os.path.exists(target)):
        _room(name).add(session, target, losses)
    else:
        more = {"with_openinference": True} if name == "otlp" and args.openinference else {}
        _write(_room(name).export(session, losses, **more), target, out)
    if target != "-" and not _sends(name, target):
        out.line(safe.terminal(target))
    _tell(name, losses, out)
    return code


def _room(name: str) -> Any:
    return importlib.import_module(f"ai_trace.exporters.{name}")


def _write(pieces: Iterator[bytes], target: str, out: Output) -> None:
    """*pieces* to standard output, or to the file *target*, whole or not at all."""
    if target == "-":
        for piece in pieces:
            out.write(piece.decode())
        return
    whole.write(target, pieces)


def _refuse(path: str, force: bool, name: str) -> None:
    if path == "-":
        return
    if os.path.isdir(path):
        raise Stop(f"{path} is a folder; name a file in it")
    if os.path.lexists(path) and not force and name != "sqlite":
        raise Stop(f"{path} is there already; --force overwrites it")
    parent = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(parent):
        raise Stop(f"there is no folder {parent}")


def _collector(args: Namespace, out: Output) -> Collector:
    from ..exporters.post import Collector, headers_from

    return Collector(args.otlp, headers_from(args.header), wait=out.wait, say=out.message)


def _send(session: Session, to: Collector, losses: Losses, args: Namespace, out: Output) -> int:
    """The spans of *session* to a collector, and how many it took."""
    from ..exporters import otlp

    sent = 0
    known = otlp.session_origin(session)
    try:
        spans = otlp.session_spans(session, losses, with_openinference=args.openinference)
        for batch in otlp.batches(spans):
            to.send(otlp.request(known, batch))
            sent += len(batch)
    except TraceError as error:
        raise Stop(f"{error} ({sent:,} of {len(session.steps):,} spans were sent before)") from None
    return _report(sent, 0, to, out)


def _follow(source: folder.Entry | str, args: Namespace, out: Output) -> int:
    from ..exporters.forward import Forwarder

    path = source if isinstance(source, str) else source.path
    if not path.endswith((".jsonl", ".live")):
        raise Stop(f"{path} is no journal; only a journal can be followed")
    to = _collector(args, out)
    way = Forwarder(path, to, with_openinference=args.openinference, wait=out.wait, say=out.message)
    try:
        way.run()
    finally:
        _tell("otlp", way.losses, out)
    return _report(way.sent, way.refused, to, out)


def _report(sent: int, refused: int, to: Collector, out: Output) -> int:
    lost = to.rejected + refused
    rest = f"; it rejected {lost:,}" if lost else ""
    out.message(f"{words.plural(sent - to.rejected, 'span')} to {to.url}{rest}", to.told)
    return 1 if lost else 0


def _tell(name: str, losses: Losses, out: Output) -> None:
    if losses:
        out.message(f"not in --{name}:", losses.rows())
