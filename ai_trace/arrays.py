"""Arrays, tables and tensors of other libraries: a small summary of each; imports nothing, moves nothing.

`KNOWN` maps the full name of a class to its form, a function of *(value, base)*; `plain.py` looks the class
up in `sys.modules`, so a library that the process has not loaded costs nothing here.

| value | form |
|---|---|
| numpy scalar | its Python number or bool; other kinds (dates, complex…) their text |
| `numpy.ndarray`, up to 1,000 elements | `{"$array": dtype, "shape": […], "data": nested lists}` |
| larger | `{"$array", "shape", "head": first 10}`, up to 10**6 with `min`, `max`, `mean` of the finite |
| subclass of `ndarray` (masked, with units) | its own `repr` |
| `torch.Tensor` | `{"$array", "shape", "device"}`, with `data` where it lies on the CPU and is small |
| `pandas.Timestamp` | ISO 8601, to the nanosecond where it has them |
| DataFrame (pandas, polars) | `{"$table": [rows, columns], "columns", "dtypes", "head": first 10 rows}` |
| Series (pandas, polars) | `{"$series": dtype, "name", "length", "head": first 10}` |

A frame keeps its first 100 columns; pandas adds the `index` of the head. A tensor on a GPU is never copied
from there, and a polars `LazyFrame` is never collected. Any function here may raise: its caller marks that.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

__all__ = ["KNOWN"]

INLINE: Final = 1_000  # elements; about 20 KB as JSON, more tells a reader nothing that a summary does not
MEASURED: Final = 1_000_000  # elements; min, max and mean of as many floats take about 3 ms
HEAD: Final = 10  # elements or rows
COLUMNS: Final = 100


def _scalar(value: Any, base: Any) -> Any:
    if value.dtype.kind in "biuf":
        number = value.item()
        if type(number) is bool or type(number) is int or type(number) is float:
            return number
    return str(value)


def _array(value: Any, base: Any) -> Any:
    if type(value) is not base:
        return repr(value)
    made = {"$array": str(value.dtype), "shape": list(value.shape)}
    if value.size <= INLINE:
        made["data"] = _listed(value)
    else:
        made.update(_measured(value))
        made["head"] = _listed(value.flat[:HEAD])
    return made


def _listed(array: Any) -> Any:
    """Nested lists; a date as its text, since numpy answers nanoseconds as bare integers."""
    return array.astype(str).tolist() if array.dtype.kind in "mM" else array.tolist()


def _measured(array: Any) -> dict[str, Any]:
    """Smallest, largest and mean of the finite numbers; nothing where that is costly or has no meaning."""
    kind = array.dtype.kind
    if kind not in "biuf" or array.size > MEASURED:
        return {}
    numpy = sys.modules["numpy"]
    with numpy.errstate(all="ignore"):  # an overflow is a value to record, not a warning to the app
        numbers = array[numpy.isfinite(array)] if kind == "f" else array
        if not numbers.size:
            return {"finite": 0}
        exact: Callable[[Any], Any] = float if kind == "f" else int
        made = {"min": exact(numbers.min()), "max": exact(numbers.max()), "mean": float(numbers.mean())}
        if numbers.size < array.size:
            made["finite"] = int(numbers.size)
        return made


def _tensor(value: Any, base: Any) -> Any:
    made = {"$array": str(value.dtype), "shape": list(value.shape), "device": str(value.device)}
    if value.device.type == "cpu" and value.numel() <= INLINE:
        try:
            made["data"] = value.detach().tolist()
        except Exception:  # sparse, quantized and fake tensors have no lists; their shape still tells
            pass
    return made


def _pandas_frame(value: Any, base: Any) -> Any:
    head = value.iloc[:HEAD, :COLUMNS]
    return {
        "$table": list(value.shape),
        "columns": list(head.columns),
        "dtypes": [str(dtype) for dtype in head.dtypes],
        "index": list(head.index),
        "head": list(head.itertuples(index=False, name=None)),
    }


def _pandas_series(value: Any, base: Any) -> Any:
    head = value.iloc[:HEAD]
    return {
        "$series": str(value.dtype),
        "name": value.name,
        "length": len(value),
        "index": list(head.index),
        "head": head.tolist(),
    }


def _timestamp(value: Any, base: Any) -> Any:
    return value.isoformat()


def _polars_frame(value: Any, base: Any) -> Any:
    return {
        "$table": list(value.shape),
        "columns": list(value.columns[:COLUMNS]),
        "dtypes": [str(dtype) for dtype in value.dtypes[:COLUMNS]],
        "head": value[:HEAD, :COLUMNS].rows(),
    }


def _polars_series(value: Any, base: Any) -> Any:
    return {
        "$series": str(value.dtype),
        "name": value.name,
        "length": len(value),
        "head": value[:HEAD].to_list(),
    }


KNOWN: Final[Mapping[str, Callable[[Any, Any], Any]]] = MappingProxyType(
    {
        "numpy.generic": _scalar,
        "numpy.ndarray": _array,
        "torch.Tensor": _tensor,
        "pandas.core.frame.DataFrame": _pandas_frame,
        "pandas.DataFrame": _pandas_frame,
        "pandas.core.series.Series": _pandas_series,
        "pandas.Series": _pandas_series,
        "pandas._libs.tslibs.timestamps.Timestamp": _timestamp,
        "pandas.Timestamp": _timestamp,
        "polars.dataframe.frame.DataFrame": _polars_frame,
        "polars.series.series.Series": _polars_series,
    }
)
