"""`ai-trace run`: a program, run as Python would run it, with what it imports instrumented and a step around it.

The program sees its own `sys.argv`, `sys.path[0]` and `__main__`; its output, its exit code and its traceback are
what they would be without us. `TRACEPARENT` is set, so that tracers of its own and of its children join the trace.
"""

from __future__ import annotations

import builtins
import io
import os
import runpy
import sys
from argparse import REMAINDER
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any

from ..tracer import Tracer
from .output import Output, Stop

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

__all__ = ["HELP", "EXAMPLES", "arguments", "run"]

_ARCHIVES = (".pyc", ".pyz", ".zip")

HELP = "Run a Python program with its calls to models, tools and servers recorded, and a step around the whole."
EXAMPLES = """
examples:
  ai-trace run agent.py --city Oslo
  ai-trace run -m my_package.agent
  ai-trace --dir /var/traces run --agent night_shift agent.py"""


def arguments(parser: ArgumentParser) -> None:
    """The options of `run`; whatever follows the program's name is the program's."""
    add = parser.add_argument
    add("--agent", metavar="NAME", help="the agent's name in the trace (default: the program's)")
    add("-m", dest="module", metavar="MODULE", nargs=REMAINDER, help="run a module, as python -m does; its arguments follow")
    add("script", metavar="SCRIPT [ARGS...]", nargs=REMAINDER, help="the program and its arguments")


def run(args: Namespace, out: Output) -> int:
    """Run the program and return its exit code."""
    words = args.module if args.module is not None else args.script
    words = words[1:] if words[:1] == ["--"] else words
    if not words:
        raise Stop("nothing to run: name a SCRIPT, or -m MODULE", 2)
    if args.module is None and not os.path.exists(words[0]):
        raise Stop(f"can't open file '{words[0]}': there is no such file", 2)
    stem = words[0] if args.module is not None else os.path.splitext(os.path.basename(os.path.abspath(words[0])))[0]
    tracer = Tracer(args.agent or stem, args.dir)
    out.give_back()
    return _traced(tracer, words, args.module is not None)


def _traced(tracer: Tracer, words: list[str], module: bool) -> int:
    from ..bridges import on_import

    on_import.watch(tracer)
    with tracer.step(f"run {os.path.basename(words[0])}", argv=words, cwd=os.getcwd()) as step:
        os.environ["TRACEPARENT"] = step.traceparent
        try:
            _execute(words, module)
        except SystemExit as end:
            code = _exit_code(end)
            step.log(exit_code=code)
            step.finish() if code == 0 else step.fail(f"exit code {code}")
            return code
        except BaseException as error:
            _show(error)
            step.__exit__(type(error), error, error.__traceback__)
            return 130 if isinstance(error, KeyboardInterrupt) else 1
    return 0


def _execute(words: list[str], module: bool) -> None:
    sys.argv = list(words)
    if module:
        _first_on_path(os.getcwd())
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)
    elif os.path.isdir(words[0]) or words[0].endswith(_ARCHIVES):
        _first_on_path(words[0])
        runpy.run_path(words[0], run_name="__main__")
    else:
        _first_on_path(os.path.dirname(os.path.realpath(words[0])))
        _execute_file(os.path.abspath(words[0]))


def _execute_file(path: str) -> None:
    """As `__main__`, which stays: `runpy` would take it away before threads and `atexit` are done with it."""
    with io.open_code(path) as file:
        code = compile(file.read(), path, "exec", dont_inherit=True)
    main = ModuleType("__main__")
    main.__file__ = path
    main.__dict__["__builtins__"] = builtins
    sys.modules["__main__"] = main
    exec(code, main.__dict__)


def _first_on_path(folder: str) -> None:
    """Python puts the program's folder where ours is now; not in safe-path mode."""
    if not getattr(sys.flags, "safe_path", False) and sys.path:
        sys.path[0] = folder


def _exit_code(end: SystemExit) -> int:
    """As Python itself does with what was given to `sys.exit`."""
    code: Any = end.code
    if code is None:
        return 0
    if isinstance(code, int):
        return int(code)
    print(code, file=sys.stderr)
    return 1


def _show(error: BaseException) -> None:
    """The traceback as Python would print it: from the program's first line on."""
    trace = error.__traceback__
    while trace is not None and _is_ours(trace):
        trace = trace.tb_next
    error = error.with_traceback(trace)
    sys.excepthook(type(error), error, trace)


def _is_ours(trace: TracebackType) -> bool:
    code = trace.tb_frame.f_code
    return code.co_filename == __file__ or trace.tb_frame.f_globals.get("__name__") in ("runpy", "importlib._bootstrap")
