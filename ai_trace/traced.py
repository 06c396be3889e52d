"""The decorator behind `Tracer.traced`: each call of a function becomes a step.

The step's context is the arguments by parameter name, defaults included, `self` and `cls` left out; what is
returned is logged as `result`. Of a generator the number of items is logged as `yielded`, never the items,
and its return value as `result` where there is one. How the function is otherwise left as it is: `surround`.
Nothing here raises into a call; using it on something that cannot be called raises at the decoration.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar, overload

from .exceptions import UsageError
from .surround import Around, propagate, surround

__all__ = ["propagate", "traced"]

F = TypeVar("F", bound=Callable[..., Any])
OpenStep = Callable[[str, dict[str, Any]], AbstractContextManager[Any]]
Bind = Callable[[tuple[Any, ...], dict[str, Any]], dict[str, Any]]


@overload
def traced(open_step: OpenStep, target: F, /) -> F: ...


@overload
def traced(
    open_step: OpenStep,
    target: str | None = None,
    /,
    *,
    args: bool = True,
    result: bool = True,
    **context: Any,
) -> Callable[[F], F]: ...


def traced(
    open_step: OpenStep, target: Any = None, /, *, args: bool = True, result: bool = True, **context: Any
) -> Any:
    """Decorate a function, or answer a decorator.

    Args:
        open_step: makes a step of a name and a context; the step is a context manager with `log`.
        target: the function (`@traced`), or the name of the steps (`@traced("search", source="web")`).
        args: record the arguments.
        result: record what is returned, of generators how many items.
        **context: recorded with each step; an argument of the same name goes before. Where *target* is no
            name, `name=` gives it.

    Raises:
        UsageError: what is decorated is not a function or another callable object, or the name is not a str.
    """
    name = target if isinstance(target, str) else context.pop("name", None)
    if name is not None and not isinstance(name, str):
        raise UsageError(f"the name of a traced step must be a str, not {type(name).__name__}")

    def decorate(fn: Any) -> Any:
        if isinstance(fn, (staticmethod, classmethod)):
            return type(fn)(decorate(fn.__func__))
        if not callable(fn) or isinstance(fn, type):
            raise UsageError(f"traced works on functions and callable objects, not on {fn!r}")
        opener = _opener(fn, open_step, name or _name(fn), args, context)
        return surround(fn, opener, _log if result else None)

    return decorate if target is None or isinstance(target, str) else decorate(target)


def _opener(fn: Any, open_step: OpenStep, name: str, args: bool, fixed: dict[str, Any]) -> Around:
    if not args:
        return lambda args, kwargs: open_step(name, dict(fixed))
    bind = _binder(fn)
    if not fixed:
        return lambda args, kwargs: open_step(name, bind(args, kwargs))
    return lambda args, kwargs: open_step(name, {**fixed, **bind(args, kwargs)})


def _log(step: Any, value: Any, yielded: int | None) -> None:
    if yielded is None:
        step.log(result=value)
    elif value is None:
        step.log(yielded=yielded)
    else:
        step.log(yielded=yielded, result=value)


def _name(fn: Any) -> str:
    """The qualified name within its module, without the functions around it: "Agent.search"."""
    name = getattr(fn, "__qualname__", None) or getattr(getattr(fn, "func", None), "__qualname__", None)
    return str(name or type(fn).__qualname__).rpartition("<locals>.")[2]


def _binder(fn: Any) -> Bind:
    """A function that puts the arguments of a call under their parameters' names, as `fn` would bind them.

    It never raises: arguments that do not fit stand under "args" and "kwargs", and the call itself says so.
    """
    positional, keywords, defaults, rest, more = _parameters(fn)
    skip = positional[0] if positional and positional[0] in ("self", "cls") else None

    def bind(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        context = dict(zip(positional, args))
        if len(args) > len(positional):
            context[rest] = args[len(positional) :]
        extra: dict[str, Any] = {}
        for key, value in kwargs.items():
            (context if key in keywords else extra)[key] = value
        if extra:
            context[more] = extra
        for key, value in defaults:
            if key not in context:
                context[key] = value
        if skip is not None:
            context.pop(skip, None)
        return context

    return bind


def _parameters(fn: Any) -> tuple[list[str], set[str], list[tuple[str, Any]], str, str]:
    """Of *fn*: positional names, names that may be keywords, defaults, the names of `*` and `**`."""
    import inspect

    try:
        parameters = list(inspect.signature(fn).parameters.values())
    except Exception:  # builtins without a signature, and objects whose __signature__ is broken
        parameters = []
    kind = inspect.Parameter
    positional = [p.name for p in parameters if p.kind in (kind.POSITIONAL_ONLY, kind.POSITIONAL_OR_KEYWORD)]
    keywords = {p.name for p in parameters if p.kind in (kind.KEYWORD_ONLY, kind.POSITIONAL_OR_KEYWORD)}
    defaults = [(p.name, p.default) for p in parameters if p.default is not kind.empty]
    rest = [p.name for p in parameters if p.kind is kind.VAR_POSITIONAL]
    more = [p.name for p in parameters if p.kind is kind.VAR_KEYWORD]
    return positional, keywords, defaults, rest[0] if rest else "args", more[0] if more else "kwargs"
