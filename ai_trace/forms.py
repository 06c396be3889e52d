"""One value, one step plainer: what each known type of Python and its standard library is recorded as.

`plain.py` asks here by class and goes on with the answer: a scalar, `Parts` of a container, or a plainer
value whose own parts are still anything. The table that says it all is in `plain.py`.

Promises: a type is judged by `type(x)` and the `__mro__` that C keeps, so a lying `__class__`, a metaclass
or an overridden `__getattribute__` has no say. Of a foreign object nothing runs but its `__str__` or
`__repr__`; fields are read from the instance `__dict__` and from slots. Types are compared by `id`, since a
metaclass may have a `__hash__` and an `__eq__` of its own. A function here may raise: its caller marks that.
"""

# No `from __future__ import annotations` here: NamedTuple would compile each text, and the first compile() costs 2 ms.

import builtins
import collections
import gc
import re
from array import array
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from types import GetSetDescriptorType, MappingProxyType, MemberDescriptorType, ModuleType, SimpleNamespace
from typing import Any, Final, NamedTuple

__all__ = [
    "BUILTIN", "CONTAINERS", "KNOWN", "Changed", "Parts",
    "vars_of", "lineage", "full_name", "name_of", "said", "unprintable", "fields_of",
]  # fmt: skip

HIDDEN: Final = "<hidden>"  # a field whose class keeps it out of its repr
HEAD_BYTES: Final = 4096  # of binary data: every magic number and header, 5.5 KB of base64
READ_BYTES: Final = 64 * 1024 * 1024  # what is hashed and tried as text: about 0.1 s
_NAME: Final = 200  # characters of a class's name

# The descriptors that C made: reading through them runs no code of a metaclass.
_mro: Final = type.__dict__["__mro__"].__get__
_namespace: Final = type.__dict__["__dict__"].__get__
_name: Final = type.__dict__["__name__"].__get__
_qualname: Final = type.__dict__["__qualname__"].__get__
_module: Final = type.__dict__["__module__"].__get__

# `<Foo object at 0x7f…>`, `<Mock id='140…'>`: the next run would show another number.
# A text, compiled by `re` at its first use and kept there: half of what importing this room would cost.
_ADDRESS: Final = r" at 0x[0-9A-Fa-f]{6,16}(?=[>,;])| id='\d{6,}'(?=>)"


class Changed(Exception):
    """A container changed while it was read, and again at the second try."""


class Parts(NamedTuple):
    """A container opened one level, as it was at one moment."""

    items: list[Any]
    total: int  # how many there were; more than `items` where it was cut
    keys: list[Any] | None = None  # of a dict, still anything
    unordered: bool = False


# What a class says about itself.


def lineage(kind: Any) -> tuple[Any, ...]:
    """The classes of *kind*, itself first, as C keeps them."""
    found: tuple[Any, ...] = _mro(kind)
    return found


def name_of(kind: Any) -> str:
    """The bare name of a class, at most 200 characters."""
    return str.__str__(_name(kind))[:_NAME]


def full_name(kind: Any) -> str:
    """`module.Qualified.Name` of a class, without the module for a builtin."""
    module, name = _module(kind), str.__str__(_qualname(kind))[:_NAME]
    if type(module) is not str or module == "builtins":
        return name
    return f"{module[:_NAME]}.{name}"


def _definer(kind: Any, name: str, before: Any = object) -> Any:
    """The first class in the lineage of *kind*, before *before*, whose body has *name*; else None."""
    for klass in lineage(kind):
        if klass is before:
            return None
        if name in _namespace(klass):
            return klass
    return None


def _static(kind: Any, name: str) -> Any:
    """*name* as a class body of *kind* holds it; no descriptor runs. None where it is absent."""
    klass = _definer(kind, name)
    return None if klass is None else _namespace(klass)[name]


def vars_of(value: Any) -> dict[Any, Any]:
    """The instance `__dict__`, read past any property of that name; {} where there is none."""
    for klass in lineage(type(value)):
        found = _namespace(klass).get("__dict__")
        if type(found) is GetSetDescriptorType or type(found) is MemberDescriptorType:
            held = found.__get__(value)
            return held if type(held) is dict else {}
    return {}


def _field(value: Any, name: str) -> Any:
    """A field of *value* from its `__dict__`, its slot or its class default; no property runs."""
    held = vars_of(value)
    if name in held:
        return held[name]
    found = _static(type(value), name)
    if type(found) is MemberDescriptorType:
        try:
            return found.__get__(value)
        except AttributeError:
            return "<unset>"
    return "<property>" if _definer(type(found), "__get__") else found


# What an object says about itself.


def said(value: Any) -> Any:
    """What *value* says it is: its own `__repr__`, else its own `__str__`, else `<module.Class object>`."""
    kind = type(value)
    if _definer(kind, "__repr__") is not None:
        text = repr(value)
    elif _definer(kind, "__str__") is not None:
        text = str(value)
    else:
        return f"<{full_name(kind)} object>"
    text = str.__str__(text)
    if len(text) <= READ_BYTES and (" at 0x" in text or " id='" in text):
        return re.sub(_ADDRESS, "", text)
    return text


def unprintable(value: Any, error: BaseException) -> str:
    """The mark for a value whose own code failed: its class and the class of the error."""
    return f"<unprintable {name_of(type(value))}: {name_of(type(error))}>"


def _masked(value: Any, base: Any) -> str | None:
    """The text that a subclass of *base* wants to be seen as; None where it leaves that to *base*."""
    kind = type(value)
    if kind is base:
        return None
    if _definer(kind, "__str__", base) is not None:
        return str.__str__(str(value))
    if _definer(kind, "__repr__", base) is not None:
        return str.__str__(repr(value))
    return None


def _exact(form: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """*form* for the class itself and the subclasses that look like it; the text of those that mask it."""

    def masked_or(value: Any, base: Any) -> Any:
        text = _masked(value, base)
        return form(value, base) if text is None else text

    return masked_or


def _as_text(value: Any, base: Any) -> Any:
    return str.__str__(str(value))


def _iso(value: Any, base: Any) -> Any:
    return base.isoformat(value)


def _datetime(value: Any, base: Any) -> Any:
    """ISO 8601; an offset tells the two equal hours of autumn apart, a naive time needs its fold said."""
    text = base.isoformat(value)
    again = base.fold.__get__(value) and base.tzinfo.__get__(value) is None
    return f"{text} (fold=1)" if again else text


# Containers: opened one level, at most *most* items.


def _dict(value: Any, base: Any, most: int) -> Any:
    text = _masked(value, base)
    if text is not None:
        return text
    pairs = _pairs(value, base, most)
    keys = [key for key, _ in pairs]
    return Parts([item for _, item in pairs], max(dict.__len__(value), len(pairs)), keys)


def _pairs(value: Any, base: Any, most: int) -> list[Any]:
    # `OrderedDict.items` hashes the keys, and so must see none but str; `dict.items` hashes nothing.
    ordered = base is collections.OrderedDict and all(type(key) is str for key in dict.keys(value))
    items = collections.OrderedDict.items if ordered else dict.items
    return _first(lambda: iter(items(value)), most)


def _first(start: Callable[[], Iterator[Any]], most: int) -> list[Any]:
    """The first *most* items, as they are at one moment; one more try where another thread changed them."""
    try:
        return list(islice(start(), most))
    except RuntimeError:
        pass
    try:
        return list(islice(start(), most))
    except RuntimeError:
        raise Changed from None


def _ordered(value: Any, base: Any, most: int) -> Any:
    if type(value) is list:
        return Parts(value[:most], len(value))
    text = _masked(value, base)
    if text is not None:
        return text
    items = _first(lambda: base.__iter__(value), most)
    return Parts(items, max(base.__len__(value), len(items)))


def _unordered(value: Any, base: Any, most: int) -> Any:
    opened = _ordered(value, base, most)
    return opened if type(opened) is str else opened._replace(unordered=True)


def _tuple(value: Any, base: Any, most: int) -> Any:
    """A tuple as a list; a named one, unless it writes its own text, as an object of its fields."""
    kind = type(value)
    names = None if kind is tuple else _static(kind, "_fields")
    if type(names) is tuple and len(names) == tuple.__len__(value) and _generated(kind, "collections"):
        items = list(tuple.__iter__(value))
        return Parts(items, len(items), list(names))
    return _ordered(value, base, most)


def _generated(kind: Any, *modules: str) -> bool:
    """Whether the `__repr__` of *kind* is absent or was written by one of *modules* rather than by hand."""
    function = _static(kind, "__repr__")
    scope = getattr(function, "__globals__", None) if type(function) is type(_generated) else None
    return function is None or (type(scope) is dict and scope.get("__name__") in modules)


# Everything else.


def _bytes(value: Any, base: Any) -> Any:
    """Bytes with their count: UTF-8 as text, else base64; past 4 KiB the head, and a hash of the whole."""
    size = value.nbytes if base is memoryview else base.__len__(value)
    if base is memoryview:
        raw = value.tobytes() if size <= READ_BYTES else b""
    else:
        raw = bytes(base.__getitem__(value, slice(0, READ_BYTES)))
    try:
        if size <= READ_BYTES:
            return {"$bytes": size, "text": raw.decode("utf-8")}
    except UnicodeDecodeError:
        pass
    return _binary(raw, size)


def _binary(raw: bytes, size: int) -> dict[str, Any]:
    from binascii import b2a_base64
    from hashlib import sha256

    made: dict[str, Any] = {"$bytes": size}
    if size > HEAD_BYTES:
        made["$cut"] = {"bytes": size}
        if size <= READ_BYTES:
            made["$cut"]["sha256"] = sha256(raw).hexdigest()
    made["base64"] = b2a_base64(raw[:HEAD_BYTES], newline=False).decode("ascii")
    return made


def _enum(value: Any, base: Any) -> Any:
    return vars_of(value)["_value_"]


def _class(value: Any, base: Any) -> Any:
    return f"<class '{full_name(value)}'>"


def _a_module(value: Any, base: Any) -> Any:
    name = vars_of(value).get("__name__")
    return f"<module {name!r}>" if type(name) is str else "<module>"


def _behind(value: Any, base: Any) -> Any:
    """The mapping behind a `mappingproxy`, which itself would ask that mapping's own methods."""
    return gc.get_referents(value)[0]


def _attributes(value: Any, base: Any) -> Any:
    return vars_of(value)


def _environ(value: Any, base: Any) -> Any:
    return base.copy(value)


def _user_data(value: Any, base: Any) -> Any:
    return vars_of(value)["data"]


_PRINTABLE: Final = frozenset(id(kind) for kind in (str, bytes, int, float, bool, type(None)))
_GROUP: Any = getattr(builtins, "BaseExceptionGroup", None)


def _exception(value: Any, base: Any) -> Any:
    """Type, message, notes, and its `cause` (raise … from) or `context` (raised while that was handled)."""
    made: dict[str, Any] = {"type": full_name(type(value)), **_message(value)}
    held = vars_of(value)
    if type(held.get("__notes__")) is list:
        made["notes"] = held["__notes__"]
    own = base.__dict__
    cause, context = own["__cause__"].__get__(value), own["__context__"].__get__(value)
    if cause is not None:
        made["cause"] = cause
    elif context is not None and not own["__suppress_context__"].__get__(value):
        made["context"] = context
    if _is_group(value):
        made["exceptions"] = _GROUP.exceptions.__get__(value)
    elif type(held.get("_exceptions")) is tuple:  # the package exceptiongroup, for 3.10
        made["exceptions"] = held["_exceptions"]
    return made


def _message(value: Any) -> dict[str, Any]:
    """`message`, or `args` where they are more than texts and numbers and the class has no say of its own.

    The builtin `__str__` would print nested arguments by C recursion, which a small thread stack cannot bear.
    """
    kind = type(value)
    args = BaseException.__dict__["args"].__get__(value)
    writer = _definer(kind, "__str__")
    if _is_group(value) and writer is _GROUP:
        return {"message": _GROUP.message.__get__(value)}
    if _module(writer) == "builtins" and not all(id(type(arg)) in _PRINTABLE for arg in args):
        return {"args": args}
    try:
        return {"message": str.__str__(str(value))}
    except Exception as error:
        return {"message": unprintable(value, error)}


def _is_group(value: Any) -> bool:
    return _GROUP is not None and any(klass is _GROUP for klass in lineage(type(value)))


def fields_of(value: Any) -> dict[str, Any] | None:
    """The declared fields of a dataclass instance that keeps the generated `__repr__`; else None."""
    kind = type(value)
    declared = _static(kind, "__dataclass_fields__")
    if type(declared) is not dict or not _generated(kind, "dataclasses", "reprlib"):
        return None
    made = {}
    for name, field in declared.items():
        if field._field_type.name == "_FIELD":  # no ClassVar, no InitVar
            made[name] = _field(value, name) if field.repr else HIDDEN
    return made


def _pydantic(value: Any, base: Any) -> Any:
    """The fields of a model, version 1 or 2, with its extras; what it keeps out of repr or dump is hidden."""
    kind = type(value)
    declared = _declared(kind)
    writer = _definer(kind, "__repr__")
    if declared is None or (writer is not None and not _module(writer).startswith("pydantic")):
        return said(value)
    held = vars_of(value)
    made = {name: HIDDEN if _kept_out(f) else held.get(name, "<unset>") for name, f in declared.items()}
    extra = _field(value, "__pydantic_extra__")
    return {**made, **extra} if type(extra) is dict else made


def _declared(kind: Any) -> dict[str, Any] | None:
    for name in ("__pydantic_fields__", "model_fields", "__fields__"):
        declared = _static(kind, name)
        if type(declared) is dict:
            return declared
    return None


def _kept_out(field: Any) -> bool:
    info = getattr(field, "field_info", field)
    return getattr(info, "repr", True) is False or getattr(info, "exclude", None) is True


def _by_id(table: dict[Any, Any]) -> Mapping[int, Any]:
    return MappingProxyType({id(kind): form for kind, form in table.items()})


CONTAINERS: Final[Mapping[int, Callable[[Any, Any, int], Any]]] = _by_id(
    {
        dict: _dict,
        collections.OrderedDict: _dict,
        collections.defaultdict: _dict,
        collections.Counter: _dict,
        list: _ordered,
        tuple: _tuple,
        set: _unordered,
        frozenset: _unordered,
        collections.deque: _ordered,
        array: _ordered,
        type({}.keys()): _ordered,
        type({}.values()): _ordered,
        type({}.items()): _ordered,
    }
)
"""`id` of a container class -> *(value, base, most)* -> its `Parts`, or the text it wants to be seen as."""

BUILTIN: Final[Mapping[int, Callable[[Any, Any], Any]]] = _by_id(
    {
        str: _exact(lambda value, base: str.__str__(value)),
        int: _exact(lambda value, base: int.__int__(value)),
        float: _exact(lambda value, base: float.__float__(value)),
        bytes: _exact(_bytes),
        bytearray: _exact(_bytes),
        memoryview: _bytes,
        BaseException: _exception,
        type: _class,
        ModuleType: _a_module,
        MappingProxyType: _behind,
        SimpleNamespace: _exact(_attributes),
    }
)
"""`id` of a class -> *(value, base)* -> its form; *base* is that class, *value* it or of a subclass."""

KNOWN: Final[Mapping[str, Callable[[Any, Any], Any]]] = MappingProxyType(
    {
        "enum.Enum": _enum,
        "datetime.datetime": _exact(_datetime),
        "datetime.date": _exact(_iso),
        "datetime.time": _exact(_iso),
        "datetime.timedelta": _exact(lambda value, base: f"{base.total_seconds(value)!r} s"),
        "datetime.tzinfo": _as_text,
        "decimal.Decimal": _as_text,
        "fractions.Fraction": _as_text,
        "uuid.UUID": _as_text,
        "pathlib.PurePath": _as_text,
        "pathlib._local.PurePath": _as_text,
        "ipaddress._IPAddressBase": _as_text,
        "argparse.Namespace": _exact(_attributes),
        "collections.UserDict": _exact(_user_data),
        "os._Environ": _environ,
        "pydantic.main.BaseModel": _pydantic,
        "pydantic.v1.main.BaseModel": _pydantic,
    }
)
"""Full name of a class that may not be loaded -> *(value, base)* -> its form."""
