"""Arrays, tables, tensors and models of other libraries are summarised, and never imported or moved.

Each promise is tested twice: against small stand-ins put into `sys.modules`, and where the library itself is
installed, against that.
"""

from __future__ import annotations

import sys
import types
from typing import Any

import pytest

from ai_trace.plain import plain
from tests.children import run
from tests.test_values_become_plain import check


def recorded(value: Any) -> Any:
    made = plain(value)
    check(made)
    return made


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Put a class into `sys.modules` under a full name, as if its library were loaded."""

    def install(name: str, body: dict[str, Any]) -> Any:
        module, _, qualname = name.rpartition(".")
        made = type(qualname, (), {**body, "__module__": module})
        loaded = types.ModuleType(module)
        setattr(loaded, qualname, made)
        monkeypatch.setitem(sys.modules, module, loaded)
        return made

    return install


def test_nothing_is_imported() -> None:
    """Recording ordinary values loads no foreign library, whether installed or not."""
    script = (
        "import sys, datetime; from ai_trace.plain import plain\n"
        "plain([object(), datetime.date.today(), ValueError(1), {1: {2}}, b'a'])\n"
        "print({'numpy', 'pandas', 'polars', 'torch', 'pydantic'} & set(sys.modules))"
    )
    assert run(script).stdout.strip() == "set()"


def test_a_class_that_only_has_the_name_is_not_trusted(library: Any) -> None:
    """A class that calls itself `numpy.ndarray` but is not the one in the loaded module is just an object."""
    library("numpy.ndarray", {})
    fake = type("ndarray", (), {"__module__": "numpy", "shape": property(lambda self: 1 / 0)})
    assert plain(fake()) == "<numpy.ndarray object>"


def test_a_small_array_is_kept_and_a_large_one_summarised(library: Any) -> None:
    """Shape and type always; the data up to 1,000 elements; of an array that fails, its mark."""
    dtype = type("dtype", (), {"kind": "O", "__str__": lambda self: "object"})()
    body = {"dtype": dtype, "tolist": lambda self: [1.0, float("nan")]}
    small = library("numpy.ndarray", {**body, "shape": (2,), "size": 2})
    assert recorded(small()) == {"$array": "object", "shape": [2], "data": [1.0, "<NaN>"]}
    flat = type("Flat", (), {"__getitem__": lambda self, part: small()})()
    large = library("numpy.ndarray", {**body, "shape": (50, 50), "size": 2_500, "flat": flat})
    assert recorded(large()) == {"$array": "object", "shape": [50, 50], "head": [1.0, "<NaN>"]}
    broken = library("numpy.ndarray", {})
    assert recorded([1, broken(), 2]) == [1, "<unprintable ndarray: AttributeError>", 2]


@pytest.mark.parametrize("device, kept", [("cpu", True), ("cuda", False)])
def test_a_tensor_on_a_gpu_is_not_moved(library: Any, device: str, kept: bool) -> None:
    """Its shape, type and device are recorded; only what lies on the CPU and is small is read."""
    moved = []
    place = type("device", (), {"type": device, "__str__": lambda self: f"{device}:0"})()
    tensor = library(
        "torch.Tensor",
        {
            "dtype": "torch.float32",
            "shape": (2,),
            "device": place,
            "numel": lambda self: 2,
            "detach": lambda self: self,
            "tolist": lambda self: moved.append("moved") or [1.0, 2.0],
            "__repr__": lambda self: moved.append("repr") or "tensor",
        },
    )
    made = recorded(tensor())
    data = {"data": [1.0, 2.0]} if kept else {}
    assert made == {"$array": "torch.float32", "shape": [2], "device": f"{device}:0", **data}
    assert moved == (["moved"] if kept else [])


def test_a_model_is_its_fields(library: Any) -> None:
    """A pydantic model becomes an object of its declared fields, read without calling it."""
    base = library("pydantic.main.BaseModel", {})
    shown, hidden = types.SimpleNamespace(repr=True), types.SimpleNamespace(repr=False)
    model = type("Order", (base,), {"__pydantic_fields__": {"id": shown, "card": hidden, "late": shown}})()
    model.__dict__.update(id=7, card="4111", _state="not a field")
    assert recorded(model) == {"id": 7, "card": "<hidden>", "late": "<unset>"}


def test_real_numpy() -> None:
    """Scalars become numbers, arrays their data or a summary, without a warning for NaN."""
    numpy = pytest.importorskip("numpy", reason="numpy is not installed; the stand-ins were tested")
    scalars = [numpy.float64(1.5), numpy.int8(3), numpy.bool_(True), numpy.float32("nan"), numpy.str_("x")]
    assert recorded(scalars) == [1.5, 3, True, "<NaN>", "x"]
    assert recorded(numpy.longdouble(1)) == "1.0"
    small = numpy.array([[1.0, numpy.nan], [2.0, numpy.inf]])
    data = [[1.0, "<NaN>"], [2.0, "<Infinity>"]]
    assert recorded(small) == {"$array": "float64", "shape": [2, 2], "data": data}
    large = numpy.arange(5_000)
    assert recorded(large) == {
        "$array": str(large.dtype),
        "shape": [5_000],
        "min": 0,
        "max": 4_999,
        "mean": 2499.5,
        "head": list(range(10)),
    }
    assert recorded(numpy.full(5_000, numpy.nan))["finite"] == 0
    assert set(recorded(numpy.zeros(2_000_000))) == {"$array", "shape", "head"}
    assert recorded(numpy.array(["2024-01-01"], dtype="M8[D]"))["data"] == ["2024-01-01"]


def test_real_pandas() -> None:
    """A frame is its shape, columns, types and first rows, each cell with its own type."""
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = pandas.DataFrame({"a": range(50), "b": [0.5] * 49 + [None]})
    made = recorded(frame)
    assert (made["$table"], made["columns"], made["dtypes"]) == ([50, 2], ["a", "b"], ["int64", "float64"])
    assert made["head"] == [[n, 0.5] for n in range(10)]
    assert recorded(frame["b"])["length"] == 50
    stamp = pandas.Timestamp("2024-01-01 00:00:00.000000001", tz="UTC")
    assert recorded([stamp, pandas.NaT]) == ["2024-01-01T00:00:00.000000001+00:00", "NaT"]


def test_real_polars() -> None:
    """The same for polars; a lazy frame stays lazy."""
    polars = pytest.importorskip("polars", reason="polars is not installed")
    frame = polars.DataFrame({"a": [1, 2], "b": ["x", None]})
    made = recorded(frame)
    assert (made["$table"], made["columns"], made["head"]) == ([2, 2], ["a", "b"], [[1, "x"], [2, None]])
    assert type(recorded(frame.lazy())) is str


def test_real_pydantic() -> None:
    """Fields, extras and nested models are kept; secrets and hidden fields are not."""
    pydantic = pytest.importorskip("pydantic", reason="pydantic is not installed")
    fields = {
        "__annotations__": {"id": int, "key": pydantic.SecretStr, "hidden": str},
        "hidden": pydantic.Field("raw-hidden", repr=False),
        "__module__": __name__,
    }
    model = type("Order", (pydantic.BaseModel,), fields)
    made = recorded([model(id=7, key="raw-secret")])
    assert (made[0]["id"], made[0]["hidden"]) == (7, "<hidden>")
    assert "raw" not in str(made)


def test_real_torch() -> None:
    """A small tensor on the CPU is kept with its type, shape and device."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    made = recorded(torch.tensor([1.0, 2.0], requires_grad=True))
    assert made == {"$array": "torch.float32", "shape": [2], "device": "cpu", "data": [1.0, 2.0]}
