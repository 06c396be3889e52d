"""What a tracer is told, by its arguments and by the environment, checked before anything begins.

Wrong ones raise `UsageError` with a sentence: what was found, what was expected, what to do. A hostile value is
named by its type alone; none of its own code runs.

Environment:
    AI_TRACE_DIR       the trace folder where none is given (else "traces")
    AI_TRACE_DISABLED  "1": every tracer is a no-op
    AI_TRACE_ON_ERROR  "warn": a folder that cannot be used does not raise; its steps become counted drops
    TRACEPARENT        the W3C Trace Context of the process that started this one
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Mapping
from typing import Any, Final, cast

from . import clock
from .exceptions import UsageError

__all__ = ["check_folder", "disabled", "fields", "folder", "isa", "remote_parent", "require", "rotation", "seal", "sync"]

NEVER: Final = 1 << 62  # bytes or nanoseconds: no file grows so large, no process runs so long
_SYNC: Final = ("never", "step", "always")
_NAME: Final = type.__dict__["__name__"].__get__  # past a metaclass's own attribute access
_SIZES: Final = {"KB": 10**3, "MB": 10**6, "GB": 10**9}
_AGES: Final = {"s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9, "d": 86400 * 10**9}
_HOPELESS: Final = {errno.ENAMETOOLONG: "its name is too long", errno.ELOOP: "its symbolic links go round in a circle"}
# W3C Trace Context, Level 1, 3.2: version "ff" and ids of zeros alone are invalid; later versions may add fields.
_TRACEPARENT: Final = r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?"


def require(good: bool, sentence: str, given: object) -> None:
    """Raise `UsageError` unless *good*: "*sentence*, not *given*"."""
    if not good:
        raise UsageError(f"{sentence}, not {_shown(given)}")


def isa(value: object, kind: type) -> bool:
    """`isinstance` that answers False where the value's own `__class__` or metaclass fails."""
    try:
        return isinstance(value, kind)
    except Exception:
        return False


def disabled() -> bool:
    """Does the environment switch tracing off?"""
    return os.environ.get("AI_TRACE_DISABLED", "").lower() not in ("", "0", "false", "no", "off")


def sync(given: object) -> str:
    """One of "never", "step" and "always"."""
    require(type(given) is str and given in _SYNC, 'sync must be "never", "step" or "always"', given)
    return str(given)


def seal(given: Any, auto_save: bool) -> bool | bytes | str:
    """False, True for a bare chain, or a key."""
    require(type(given) in (bool, bytes, str), "seal must be True, False or a key (bytes or str)", given)
    if isinstance(given, (bytes, str)) and not given.strip():
        raise UsageError("seal must be True, False or a key; this key is empty")
    if given is not False and not auto_save:
        raise UsageError("seal needs auto_save=True: only what is written as it happens can be sealed")
    return cast("bool | bytes | str", given)


def rotation(given: object) -> tuple[int, int]:
    """The size in bytes and the age in nanoseconds at which a segment ends; `NEVER` for what is not limited."""
    if given is None:
        return NEVER, NEVER
    found = re.fullmatch(r"(\d{1,9})\s?([KMG]B|[smhd])", given) if type(given) is str else None
    number = int(found[1]) if found else 0
    if found is None or number == 0:
        raise UsageError(f'rotate must be a size ("100MB") or an age ("12h", "1d"), not {_shown(given)}')
    unit = found[2]
    return (number * _SIZES[unit], NEVER) if unit in _SIZES else (NEVER, number * _AGES[unit])


def fields(meta: Any) -> dict[str, Any]:
    """*meta* as a dict of its own; None is an empty one."""
    if meta is None:
        return {}
    require(isa(meta, Mapping), "meta must be a dict", meta)
    try:
        return dict(meta)
    except Exception as err:
        raise UsageError(f"meta cannot be read: {type(err).__name__}") from err


def folder(trace_dir: object) -> str:
    """The absolute path of the trace folder, settled now: a later `chdir` of the app does not move it."""
    given = os.environ.get("AI_TRACE_DIR") or "traces" if trace_dir is None else trace_dir
    try:
        path: Any = os.fspath(cast("os.PathLike[str]", given))
    except Exception:  # no path, or one whose own code fails
        path = None
    require(type(path) is str and _can_be_named(path), "trace_dir must be a path", given)
    try:
        return os.path.abspath(str(path))
    except OSError as err:
        raise UsageError(f"trace folder {path!r} is relative, and there is no current folder: {err}") from err


def check_folder(folder: str) -> None:
    """Say now that *folder* cannot be used, where that can be known without making it."""
    if os.environ.get("AI_TRACE_ON_ERROR") == "warn":
        return
    place = folder
    while not os.path.lexists(place) and os.path.dirname(place) != place:  # a drive of Windows may not be there
        place = os.path.dirname(place)
    # The kernel stops at the first folder that is missing: the names behind it are asked for one by one.
    for path in [folder, *(os.path.join(place, name) for name in os.path.relpath(folder, place).split(os.sep))]:
        _refuse_hopeless(folder, path)
    if not os.path.isdir(place):
        raise UsageError(f"trace folder {folder!r} cannot be used: {place!r} is not a folder; choose another trace_dir")
    if not os.access(place, os.W_OK | os.X_OK):
        raise UsageError(
            f"trace folder {folder!r} cannot be used: no permission to write in {place!r}; choose another trace_dir, "
            "or set AI_TRACE_ON_ERROR=warn to run without a trace"
        )


def _refuse_hopeless(folder: str, path: str) -> None:
    """Raise where *path* can never come to be: no folder that is made or removed would help."""
    try:
        os.stat(path)
    except OSError as err:
        if err.errno in _HOPELESS:
            why = _HOPELESS[err.errno]
            raise UsageError(
                f"trace folder {_shown(folder)} cannot be used: {why}; choose another trace_dir, "
                "or set AI_TRACE_ON_ERROR=warn to run without a trace"
            ) from err


def remote_parent(given: object) -> tuple[str, str | None]:
    """Trace id and parent span id from *given*, else TRACEPARENT; a bad environment is ignored, as W3C asks."""
    text = os.environ.get("TRACEPARENT", "") if given is None else given
    found = re.fullmatch(_TRACEPARENT, text.strip()) if type(text) is str else None
    if found is not None:
        return found[1], found[2]
    require(given is None, "traceparent must be a W3C traceparent (00-<32 hex>-<16 hex>-<2 hex>)", given)
    return clock.active.trace_id(), None


def _can_be_named(path: str) -> bool:
    try:
        return b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:  # half a character, which no file system takes
        return False


def _shown(value: object) -> str:
    """A wrong argument in a message: a str as it is, of others only the type, for their `repr` is their own code."""
    return repr(value[:200]) if type(value) is str else f"a value of type {_NAME(type(value))}"
