"""`ai-trace serve`: the folder as pages in a browser of this computer, live while sessions run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import safe
from . import choose, listing, options
from .output import Output, Stop

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

__all__ = ["HELP", "EXAMPLES", "arguments", "run"]

HELP = "Show the folder in a browser: the list of sessions, and each of them, live while it runs. On 127.0.0.1 only."
EXAMPLES = """
examples:
  ai-trace serve                    until Ctrl-C
  ai-trace serve --port 8000 --open
  ai-trace --dir runs serve --port 0    on any free port"""


def arguments(parser: ArgumentParser) -> None:
    """The options of `serve`."""
    add = parser.add_argument
    add("--port", type=options.count, default=8642, metavar="N", help="the port; 0: any free one (default: 8642)")
    add("--open", action="store_true", help="open it in the browser")


def run(args: Namespace, out: Output) -> int:
    """Serve until Ctrl-C; 0 then."""
    from ..serve import Server

    if args.port > 65535:
        raise Stop("a port is a number up to 65535", 2)
    choose.entries(args.dir)  # a file instead of a folder is said now
    try:
        server = Server(args.dir, args.port, lambda entries: listing.facts_of(entries, args.dir))
    except OSError as error:
        raise Stop(f"port {args.port} cannot be used: {error.strerror}; --port 0 takes any free one") from None
    try:
        out.line(f"{safe.terminal(args.dir)} at {server.address} (Ctrl-C to stop)")
        out.flush()
        if args.open:
            import webbrowser

            webbrowser.open(server.address)
        server.serve_forever(poll_interval=0.2)
    except KeyboardInterrupt:
        pass  # the way to end it
    finally:
        server.stopping.set()
        server.server_close()
    return 0
