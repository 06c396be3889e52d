"""Functions of every kind become steps, and are otherwise left as they are."""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import random
import sys
import traceback
import types
import weakref
from contextlib import aclosing, contextmanager
from pathlib import Path

import pytest

from ai_trace import Tracer, UsageError
from ai_trace.current import current, enter, leave
from ai_trace.traced import traced
from tests.children import ROOT

PACKAGE = str(Path(ROOT, "ai_trace"))


class Block:
    """The least step that can be traced with."""

    def __init__(self, name, context):
        self.name, self.context, self.logs, self.ended = name, context, [], None

    def log(self, **fields):
        self.logs.append(fields)

    def __enter__(self):
        self.above = current()
        self.node = enter(self, sys._getframe(1))
        return self

    def __exit__(self, kind, error, trace):
        leave(self.node)
        self.ended = kind.__name__ if kind else "ok"


class Book:
    """Hands out blocks and keeps them."""

    def __init__(self):
        self.steps = []
        self.traced = functools.partial(traced, self.open)

    def open(self, name, context):
        self.steps.append(Block(name, context))
        return self.steps[-1]

    def last(self):
        step = self.steps[-1]
        return step.name, step.context, step.logs, step.ended


@pytest.fixture(name="book")
def _book():
    yield Book()
    assert current() is None


# What is recorded


def test_arguments_and_result(book):
    """Arguments stand under their parameters' names, defaults included; what is returned is logged."""

    @book.traced
    def add(a, b=2, *more, c, d=4, **rest):
        """Adds."""
        return a + b

    assert add(1, c=3) == 3
    assert book.last() == ("add", {"a": 1, "c": 3, "b": 2, "d": 4}, [{"result": 3}], "ok")
    add(1, 5, 6, 7, c=0, d=None, e=8)
    assert book.last()[1] == {"a": 1, "b": 5, "more": (6, 7), "c": 0, "d": None, "rest": {"e": 8}}


@pytest.mark.parametrize("name", ["name", "step", "tracer", "fn", "args", "context", "target", "open_step"])
def test_parameters_with_our_own_names(book, name):
    """Parameters may have any names, those of our own arguments included."""
    scope = {}
    exec(f"def work({name}, *rest, **more): return {name}", scope)
    work = book.traced(scope["work"])
    assert work(1) == 1
    assert book.last()[1] == {name: 1}
    assert work(**{name: 2}) == 2
    assert book.last()[1] == {name: 2}


def test_self_and_cls_are_left_out(book):
    """A method's object is left out; a parameter `self` in another place is one like any."""

    class Agent:
        @book.traced
        def method(self, q):
            return q

        @classmethod
        @book.traced
        def inner_class(cls, q):
            return cls

        @book.traced
        @classmethod
        def outer_class(cls, q):
            return cls

        @staticmethod
        @book.traced
        def inner_static(q):
            return q

        @book.traced
        @staticmethod
        def outer_static(q, self):
            return self

    agent = Agent()
    assert agent.method(1) == 1
    assert book.last()[:2] == ("Agent.method", {"q": 1})
    assert Agent.inner_class(1) is agent.outer_class(q=2) is Agent
    assert book.last()[:2] == ("Agent.outer_class", {"q": 2})
    assert agent.inner_static(3) == 3
    assert Agent.outer_static(1, 4) == 4
    assert book.last()[:2] == ("Agent.outer_static", {"q": 1, "self": 4})
    assert book.traced(agent.method)(5) == 5
    assert book.steps[-2].context == {"q": 5}


def test_positional_only_beside_keywords(book):
    """A positional-only parameter and a keyword of the same name are told apart."""

    @book.traced
    def work(a, /, **rest):
        return rest

    assert work(1, a=2) == {"a": 2}
    assert book.last()[1] == {"a": 1, "rest": {"a": 2}}


def test_names_and_fixed_context(book):
    """A name and fixed context may be given; an argument of the same name goes before."""
    book.traced("search", source="web")(lambda q: q)("x")
    assert book.last()[:2] == ("search", {"source": "web", "q": "x"})
    book.traced(name="search")(lambda source: 1)("x")
    assert book.last()[:2] == ("search", {"source": "x"})
    book.traced("search", name="kept", source="web")(lambda source: 1)("x")
    assert book.last()[:2] == ("search", {"name": "kept", "source": "x"})
    book.traced()(lambda: 1)()
    assert book.last()[0] == "<lambda>"


def test_recording_can_be_left_out(book):
    """`args=False` records no arguments, `result=False` nothing of what is returned or yielded."""
    book.traced(args=False, source="web")(lambda q: q)("x")
    assert book.last()[1:3] == ({"source": "web"}, [{"result": "x"}])
    book.traced("n", result=False)(lambda q: q)("x")
    assert book.last()[1:3] == ({"q": "x"}, [])

    def items():
        yield 1

    list(book.traced(result=False)(items)())
    assert book.last()[2:] == ([], "ok")


def test_fixed_context_is_not_shared(book):
    """Each call has a context of its own."""
    work = book.traced(args=False, k=1)(lambda: None)
    work(), work()
    book.steps[0].context["k"] = 2
    assert book.steps[1].context == {"k": 1}


def test_wrong_arguments_are_the_functions_affair(book):
    """A call that does not fit raises the function's own TypeError, and the step says so."""

    @book.traced
    def work(a):
        return a

    for call in (work, lambda: work(1, 2), lambda: work(a=1, b=2)):
        with pytest.raises(TypeError, match="work"):
            call()
        assert book.last()[3] == "TypeError"


def test_callables_without_a_signature(book):
    """Builtins, partials, and callable objects are traced as far as they can be looked into."""

    class Tool:
        def __call__(self, q):
            return q

    class Odd:
        __signature__ = "nonsense"

        def __call__(self, *args, **kwargs):
            return args

    class Later:
        async def __call__(self, q):
            return q

    assert book.traced(max)(1, 2) == 2
    assert book.last()[:2] == ("max", {"args": (1, 2)})
    assert book.traced(functools.partial(pow, 2))(3) == 8
    assert book.traced(Tool())(1) == 1
    assert book.last()[1] == {"q": 1}
    assert book.traced(Odd())(1, k=2) == (1,)
    assert book.last()[1] == {"args": (1,), "kwargs": {"k": 2}}
    later = book.traced(Later())
    assert inspect.iscoroutinefunction(later)
    assert asyncio.run(later(2)) == 2
    assert book.last()[1:3] == ({"q": 2}, [{"result": 2}])


@pytest.mark.parametrize("wrong", [3, int, property(lambda self: 1), ["x"]])
def test_what_is_no_function(book, wrong):
    """What cannot be called, or is a class, is refused when it is decorated, with a sentence."""
    with pytest.raises(UsageError, match="traced works on functions"):
        book.traced(wrong)


def test_wrong_name(book):
    """A name that is no text is refused at once."""
    with pytest.raises(UsageError, match="must be a str, not int"):
        book.traced(name=3)


# What stays as it is


def kinds():
    def function(a: int, *, b: str = "x") -> int:
        """Doc."""
        return a

    async def coroutine(a: int, *, b: str = "x") -> int:
        """Doc."""
        return a

    def generator(a: int, *, b: str = "x"):
        """Doc."""
        yield a

    async def async_generator(a: int, *, b: str = "x"):
        """Doc."""
        yield a

    return [function, coroutine, generator, async_generator]


@pytest.mark.parametrize("fn", kinds(), ids=lambda fn: fn.__name__)
def test_kind_and_metadata(book, fn):
    """The wrapper is of the same kind, and has the name, doc, signature and attributes of the function."""
    fn.mark = "kept"
    wrapped = book.traced(fn)
    for ask in (
        inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction,
        inspect.signature, asyncio.iscoroutinefunction if sys.version_info < (3, 14) else inspect.isfunction,
    ):  # fmt: skip
        assert ask(wrapped) == ask(fn)
    for attribute in ("__name__", "__qualname__", "__doc__", "__module__", "__annotations__", "mark"):
        assert getattr(wrapped, attribute) == getattr(fn, attribute)
    assert wrapped.__wrapped__ is fn


def test_exceptions_pass_as_they_are(book):
    """The exception is the same object with the same cause, and one more frame of ours at most in between."""
    boom = ValueError("boom")
    boom.__cause__ = cause = KeyError("cause")

    def fail():
        raise boom

    async def coroutine():
        raise boom

    def generator():
        yield 1
        raise boom

    async def async_generator():
        yield 1
        raise boom

    async def consume():
        async for _ in book.traced(async_generator)():
            pass

    calls = [
        book.traced(fail),
        lambda: asyncio.run(book.traced(coroutine)()),
        lambda: list(book.traced(generator)()),
        lambda: asyncio.run(consume()),
    ]
    for call in calls:
        boom.__traceback__ = None
        with pytest.raises(ValueError, match="boom") as caught:
            call()
        assert caught.value is boom
        assert boom.__cause__ is cause and boom.__context__ is None
        ours = [frame for frame in traceback.extract_tb(boom.__traceback__) if frame.filename.startswith(PACKAGE)]
        assert len(ours) == 1
        assert book.last()[3] == "ValueError"
    assert book.last()[2] == [{"yielded": 1}]


def test_arguments_are_not_kept_alive(book):
    """A generator lets go of its arguments when it wants; the wrapper does not keep them."""

    class Thing:
        pass

    def items(thing):
        del thing
        yield

    wrapped = traced(lambda name, context: Block(name, {}), items)
    thing = Thing()
    gone = weakref.ref(thing)
    walk = wrapped(thing)
    del thing
    next(walk)
    gc.collect()
    assert gone() is None
    walk.close()


def test_thrown_exceptions_are_let_go(book):
    """An exception that a generator caught is gone at once, with its traceback, without the collector."""

    class Boom(Exception):
        pass

    def items():
        while True:
            try:
                yield 1
            except Boom:
                pass

    async def async_items():
        while True:
            try:
                yield 1
            except Boom:
                pass

    def thrown():
        boom = Boom()
        gone.append(weakref.ref(boom))
        return boom

    async def main():
        async with aclosing(book.traced(async_items)()) as walk:
            await walk.__anext__()
            assert await walk.athrow(thrown()) == 1
            assert gone[1]() is None

    gone = []
    walk = book.traced(items)()
    next(walk)
    gc.disable()
    try:
        assert walk.throw(thrown()) == 1
        assert gone[0]() is None
        asyncio.run(main())
    finally:
        gc.enable()
        walk.close()


# Generators


def protocol():
    """A generator that does everything generators do."""
    said = yield "first"
    while said != "end":
        try:
            said = yield said
        except ValueError as error:
            said = f"caught {error}"
        except KeyError as error:
            raise RuntimeError("other") from error
        except LookupError:
            said = yield "ignored" if said != "return" else None
            return "early"
    return "value"


def act(walk, script):
    """What the consumer of *walk* sees, act by act; exceptions by type, text, cause and context."""
    seen = []
    for verb, value in script:
        try:
            seen.append(getattr(walk, verb)(*value))
        except BaseException as error:
            around = [type(error.__cause__).__name__, type(error.__context__).__name__]
            seen.append((type(error).__name__, str(error), getattr(error, "value", None), *around))
    return seen


async def aact(walk, script):
    """The same for an async generator."""
    seen = []
    for verb, value in script:
        try:
            seen.append(await getattr(walk, verb)(*value))
        except BaseException as error:
            around = [type(error.__cause__).__name__, type(error.__context__).__name__]
            seen.append((type(error).__name__, str(error), *around))
    return seen


def scripts(seed, send="send", throw="throw", close="close"):
    """Random sequences of what a consumer may do."""
    draw = random.Random(seed)
    choices = [
        lambda: (send, (None,)), lambda: (send, ("x",)), lambda: (send, ("return",)),
        lambda: (send, ("end",)), lambda: (throw, (ValueError("v"),)), lambda: (throw, (KeyError("k"),)),
        lambda: (throw, (IndexError(),)),
        lambda: (throw, (StopIteration("s"),)), lambda: (throw, (StopAsyncIteration("s"),)),
        lambda: (throw, (GeneratorExit(),)), lambda: (throw, (OSError(),)), lambda: (close, ()),
    ]  # fmt: skip
    for _ in range(300):
        first = [(send, (None,))] if draw.random() < 0.9 else []
        yield first + [draw.choice(choices)() for _ in range(draw.randrange(6))]


def twins(seed, **verbs):
    """Each script twice, with exceptions of their own."""
    return zip(scripts(seed, **verbs), scripts(seed, **verbs))


def test_generator_protocol(book):
    """Whatever is sent, thrown or closed, a traced generator answers as the bare one does."""
    wrapped = book.traced(protocol)
    for bare, ours in twins(3):
        assert act(wrapped(), ours) == act(protocol(), bare), bare
    assert all(step.ended for step in book.steps)


async def async_protocol():
    """The async twin of `protocol`."""
    said = yield "first"
    while said != "end":
        await asyncio.sleep(0)
        try:
            said = yield said
        except ValueError as error:
            said = f"caught {error}"
        except KeyError as error:
            raise RuntimeError("other") from error
        except LookupError:
            said = yield "ignored" if said != "return" else None
            return


def test_async_generator_protocol(book):
    """Whatever is sent, thrown or closed, a traced async generator answers as the bare one does."""
    wrapped = book.traced(async_protocol)
    verbs = {"send": "asend", "throw": "athrow", "close": "aclose"}

    async def main():
        for bare, ours in twins(5, **verbs):
            assert await aact(wrapped(), ours) == await aact(async_protocol(), bare), bare

    asyncio.run(main())
    gc.collect()
    assert all(step.ended for step in book.steps)


def test_stubborn_generators(book):
    """A generator that goes on after being closed is told so in the same words."""

    def stubborn():
        while True:
            try:
                yield 1
            except GeneratorExit:
                yield 2
                return

    async def async_stubborn():
        try:
            yield 1
        except GeneratorExit:
            yield 2

    walk = book.traced(stubborn)()
    next(walk)
    with pytest.raises(RuntimeError, match="^generator ignored GeneratorExit$"):
        walk.close()
    assert next(walk, "end") == "end"

    async def main():
        walk = book.traced(async_stubborn)()
        await walk.__anext__()
        with pytest.raises(RuntimeError, match="^async generator ignored GeneratorExit$"):
            await walk.aclose()

    asyncio.run(main())


def test_generator_results(book):
    """The items are counted, not kept; the value returned comes through and is logged."""

    def items():
        yield 1
        yield 2
        return "end"

    def all_of():
        return (yield from book.traced(items)())

    walk = all_of()
    assert [next(walk), next(walk)] == [1, 2]
    with pytest.raises(StopIteration) as end:
        next(walk)
    assert end.value.value == "end"
    assert book.last()[2:] == ([{"yielded": 2, "result": "end"}], "ok")


def test_generator_ends(book):
    """The step begins with the first item, and ends when the generator ends, is closed or abandoned."""

    def items():
        yield 1
        yield 2

    wrapped = book.traced(items)
    untouched = wrapped()
    assert book.steps == []
    untouched.close()
    assert book.steps == []
    assert list(wrapped()) == [1, 2]
    assert book.last()[2:] == ([{"yielded": 2}], "ok")
    walk = wrapped()
    next(walk)
    walk.close()
    assert book.last()[2:] == ([{"yielded": 1}], "GeneratorExit")
    for _ in wrapped():
        break
    gc.collect()
    assert book.last()[2:] == ([{"yielded": 1}], "GeneratorExit")


def test_async_generator_abandoned_or_shut_down(book):
    """The loop closes a traced async generator once, without complaint, however slow its cleanup is."""
    complaints = []

    async def items():
        try:
            yield 1
            yield 2
        finally:
            for _ in range(5):
                await asyncio.sleep(0)

    wrapped = book.traced(items)

    async def main():
        asyncio.get_running_loop().set_exception_handler(lambda loop, about: complaints.append(about))
        async for _ in wrapped():
            break
        gc.collect()
        for _ in range(20):
            await asyncio.sleep(0)
        assert book.last()[3] == "GeneratorExit"
        kept.append(wrapped())
        await kept[0].__anext__()

    kept = []
    asyncio.run(main())
    assert book.last()[2:] == ([{"yielded": 1}], "GeneratorExit")
    assert complaints == []


def test_current_only_while_the_body_runs(book):
    """The step is current in a generator's body and in tasks started there, not for the consumer."""

    async def task():
        return current()

    async def items():
        yield current()
        yield (await asyncio.gather(task(), task()))[1]

    def plain():
        yield current()
        yield current()

    async def main():
        async with aclosing(book.traced(items)()) as walk:
            async for step in walk:
                assert step is book.steps[0]
                assert current() is None
                assert await asyncio.create_task(task()) is None

    asyncio.run(main())
    for step in book.traced(plain)():
        assert step is book.steps[1]
        assert current() is None


def test_traced_contextmanager(book):
    """Under `contextmanager`, a traced generator's step is current in the block."""

    @contextmanager
    @book.traced
    def helper():
        yield current()

    with helper() as step:
        assert current() is step is book.steps[0]
    assert book.last()[3] == "ok"


def test_nested_calls(book):
    """Calls inside calls are children, coroutines included."""

    @book.traced
    async def inner():
        return current()

    @book.traced
    async def outer():
        return await asyncio.gather(inner(), inner())

    asyncio.run(outer())
    top, *below = book.steps
    assert top.above is None
    assert [step.above for step in below] == [top, top]


def test_awaitable_generator(book):
    """What `types.coroutine` made can still be awaited."""

    @types.coroutine
    def pause(x):
        yield
        return x

    async def main():
        return await book.traced(pause)(3)

    assert asyncio.run(main()) == 3
    assert book.last()[1:] == ({"x": 3}, [{"yielded": 1, "result": 3}], "ok")


# With a real tracer


def test_with_a_tracer(tmp_path):
    """`tracer.traced` makes real steps: name, context, result, outcome and parents are in the record."""
    tracer = Tracer("agent", tmp_path)

    class Agent:
        @tracer.traced
        def ask(self, question, name="x"):
            return sum(self.stream(2))

        @tracer.traced("stream", kind="generator")
        def stream(self, n):
            for i in range(n):
                yield self.item(i)

        @tracer.traced(args=False)
        def item(self, i):
            if i == 5:
                raise ValueError("too much")
            return i

    agent = Agent()
    assert agent.ask("why?") == 1
    with pytest.raises(ValueError, match="too much"):
        list(agent.stream(6))
    steps = [step.to_dict() for step in tracer.steps]
    tracer.close()
    ask = next(step for step in steps if step["name"] == "Agent.ask")
    stream, failed = [step for step in steps if step["name"] == "stream"]
    items = [step for step in steps if step["name"] == "Agent.item"]
    assert ask["context"] == {"question": "why?", "name": "x"}
    assert ask["logs"][-1]["result"] == 1
    assert stream["context"] == {"kind": "generator", "n": 2}
    assert (stream["parent"], failed["parent"]) == (ask["id"], None)
    assert (stream["outcome"], failed["outcome"]) == ("ok", "error")
    assert failed["logs"][-1]["yielded"] == 5
    assert [step["parent"] for step in items] == [stream["id"]] * 2 + [failed["id"]] * 6
