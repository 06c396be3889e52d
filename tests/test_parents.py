"""Which step a new step belongs under: with blocks, tasks, threads, generators, and ends that come late."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import random
import subprocess
import sys
import threading
import types
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack, aclosing, asynccontextmanager, closing, contextmanager

import pytest

import ai_trace.current
from ai_trace import Tracer, current_step, propagate
from ai_trace.current import current, enter, find, leave


class Block:
    """The least step there can be: it knows its name and what was current when it was entered."""

    def __init__(self, name):
        self.name = name

    def __enter__(self):
        self.above = current()
        self.node = enter(self, sys._getframe(1))
        return self

    def __exit__(self, *_):
        leave(self.node)

    async def __aenter__(self):
        self.above = current()
        self.node = enter(self, sys._getframe(1))
        return self

    async def __aexit__(self, *_):
        leave(self.node)


class Bare:
    """A family of bare blocks."""

    step = Block

    def current(self):
        return current()

    def parent(self, step):
        return step.above.name if step.above else None


class Traced:
    """A family of real steps."""

    def __init__(self, folder):
        self.tracer = Tracer("family", folder)
        self.names = {None: None}

    def step(self, name):
        step = self.tracer.step(name)
        self.names[step.id] = name
        return step

    def current(self):
        return current_step()

    def parent(self, step):
        return self.names[step.parent]


@pytest.fixture(name="family", params=["bare", "traced"])
def _family(request, tmp_path):
    if request.param == "bare":
        yield Bare()
    else:
        family = Traced(tmp_path)
        yield family
        family.tracer.close()
    assert current() is None, "a test left a step current"
    assert not ai_trace.current._bound, "a test left a step bound to a generator"


def born(family, name="child"):
    """The name of the step under which a step begun here falls."""
    with family.step(name) as step:
        assert family.current() is step
    return family.parent(step)


# With blocks


def test_nested_blocks(family):
    """A step begun inside a with block is its child; after the block the one around counts again."""
    with family.step("a"):
        with family.step("b"):
            assert born(family) == "b"
        assert born(family) == "a"
    assert born(family) is None


def test_exception_leaves_the_block(family):
    """A step ended by an exception is no longer current."""
    with family.step("a"):
        with pytest.raises(KeyError):
            with family.step("b"):
                raise KeyError("x")
        assert born(family) == "a"


def test_ends_out_of_order(family):
    """Steps that end before the ones inside them are passed over."""
    a, b, c = family.step("a"), family.step("b"), family.step("c")
    a.__enter__(), b.__enter__(), c.__enter__()
    b.__exit__(None, None, None)
    assert born(family) == "c"
    a.__exit__(None, None, None)
    c.__exit__(None, None, None)
    assert born(family) is None


def test_ending_twice():
    """A second end of the same step changes nothing."""
    with Block("a"):
        inner = Block("b")
        inner.__enter__()
        leave(inner.node)
        with Block("c") as last:
            leave(inner.node)
            assert current() is last


def test_ends_elsewhere(family):
    """A step entered here and ended in another thread or context is over here, and nothing raises."""
    with family.step("a"):
        step = family.step("b")
        step.__enter__()
        thread = threading.Thread(target=step.__exit__, args=(None, None, None))
        thread.start()
        thread.join()
        assert born(family) == "a"
        other = family.step("c")
        contextvars.copy_context().run(other.__enter__)
        other.__exit__(None, None, None)
        assert born(family) == "a"


def test_exit_stack(family):
    """What an ExitStack holds open is current until the stack closes."""
    with ExitStack() as stack:
        stack.enter_context(family.step("a"))
        stack.enter_context(family.step("b"))
        assert born(family) == "b"
        kept = stack.pop_all()
    assert born(family) == "b"
    kept.close()
    assert born(family) is None


def test_class_that_enters_by_hand(family):
    """A context manager class that enters a step in its own `__enter__` makes it current for its block."""

    class Around:
        def __enter__(self):
            self.step = family.step("around")
            self.step.__enter__()

        def __exit__(self, *error):
            self.step.__exit__(*error)

    def items():
        with Around():
            yield born(family, "before")
            yield born(family, "after")

    with Around():
        assert born(family) == "around"
    with family.step("consumer"):
        walk = items()
        assert next(walk) == "around"
        assert born(family) == "consumer"
        assert next(walk) == "around"
        walk.close()


def test_class_that_reads_ahead(family):
    """A generator that some class resumes in its `__enter__` does not lend its step to the block."""

    def items():
        with family.step("generator"):
            while True:
                yield born(family)

    class Ahead:
        def __enter__(self):
            self.items = items()
            assert next(self.items) == "generator"
            return self.items

        def __exit__(self, *_):
            self.items.close()

    with family.step("consumer"), Ahead() as walk:
        assert born(family) == "consumer"
        assert next(walk) == "generator"


def test_find_looks_outwards():
    """The innermost step that fits is found, through functions, generators and lent steps."""

    def items():
        with Block("generator"):
            with Block("x"):
                yield find(lambda step: step.name == "generator"), find(lambda step: step.name == "outer")

    with Block("outer") as outer:
        generator, found = next(items())
        assert generator.name == "generator"
        assert found is outer
        with Block("inner"):
            assert find(lambda step: step.name == "outer") is outer
            with ThreadPoolExecutor(1) as pool:
                assert pool.submit(propagate(find), lambda step: step is outer).result() is outer
        assert find(lambda step: False) is None


def test_find_goes_from_a_generator_to_where_it_began():
    """Around a generator's step is what was around it when it began, not what came since."""

    def names():
        seen = []
        find(lambda step: seen.append(step.name))
        return seen

    def work():
        with Block("work"):
            return names()

    def items():
        with Block("generator"):
            yield names()
            yield work()

    with Block("outer"):
        walk = items()
        assert next(walk) == ["generator", "outer"]
        with Block("consumer"):
            assert next(walk) == ["work", "generator", "outer"]
            assert names() == ["consumer", "outer"]
        walk.close()


# Generators


def test_generator_and_its_consumer(family):
    """A step held open across a yield is the parent of what the generator does, not its consumer."""

    def items():
        with family.step("generator"):
            yield born(family)
            yield born(family)

    with family.step("consumer"):
        walk = items()
        assert next(walk) == "generator"
        assert born(family) == "consumer"
        assert next(walk) == "generator"
        assert born(family) == "consumer"
        assert next(walk, "end") == "end"
        assert born(family) == "consumer"


def test_generator_resumed_inside_a_later_step(family):
    """The generator's own step counts in its body, also where the consumer has begun a step since."""

    def items():
        with family.step("generator") as step:
            yield family.parent(step)
            with family.step("inner") as inner:
                yield family.parent(inner)
                yield born(family)

    walk = items()
    assert next(walk) is None
    with family.step("consumer"):
        assert next(walk) == "generator"
        with family.step("consumer's"):
            assert next(walk) == "inner"
        assert born(family) == "consumer"
    walk.close()


def test_function_called_by_a_generator(family):
    """Steps of functions that a generator calls nest as they should, and are over when it yields."""

    def work():
        with family.step("work") as step:
            return family.parent(step), born(family)

    def items():
        with family.step("generator"):
            yield work()
            yield work()

    with family.step("consumer"):
        for found in items():
            assert found == ("generator", "work")
            with family.step("handle") as step:
                assert family.parent(step) == "consumer"
                assert born(family) == "handle"


def test_many_suspended_generators(family):
    """Generators that are consumed in turns, in any order, keep their children apart."""

    def items(name):
        with family.step(name):
            while True:
                yield born(family)

    walks = [(str(i), items(str(i))) for i in range(20)]
    order = random.Random(7)
    for _ in range(300):
        name, walk = order.choice(walks)
        assert next(walk) == name
        assert born(family) is None
    order.shuffle(walks)
    for _, walk in walks:
        walk.close()
        assert born(family) is None


def test_nested_steps_of_a_generator(family):
    """In one generator the innermost open step counts, in whatever order they end."""

    def items():
        with family.step("outer"):
            with family.step("inner"):
                yield born(family)
            yield born(family)
            steps = [family.step(name) for name in "abc"]
            with ExitStack() as a, ExitStack() as b, ExitStack() as c:
                for stack, step in zip((a, b, c), steps):
                    stack.enter_context(step)
                for stack in (b, c, a):
                    yield born(family)
                    stack.close()
            yield born(family)

    walk = items()
    for parent in ["inner", "outer", "c", "c", "a", "outer"]:
        assert next(walk) == parent
        assert born(family) is None
    walk.close()


def test_recursive_generators_and_yield_from(family):
    """In nested generators of the same function, each level's step is under the level above."""

    def level(depth):
        with family.step(f"level {depth}") as step:
            yield family.parent(step)
            if depth:
                yield from level(depth - 1)
            yield born(family)

    with family.step("consumer"):
        seen = []
        for parent in level(2):
            seen.append(parent)
            assert born(family) == "consumer"
    assert seen == ["consumer", "level 2", "level 1", "level 0", "level 1", "level 2"]


def test_generator_that_consumes_a_generator(family):
    """An inner generator's step is under the outer one's, whoever resumes them."""

    def inner():
        with family.step("inner") as step:
            yield family.parent(step), born(family)

    def outer():
        with family.step("outer"):
            for found in inner():
                assert born(family) == "outer"
                yield found

    with family.step("consumer"), closing(outer()) as walk:
        assert next(walk) == ("outer", "inner")
        assert born(family) == "consumer"


def test_generator_resumed_in_other_threads_and_contexts(family):
    """A generator keeps its step as parent where a pool resumes it, each time in another context."""

    def items():
        with family.step("generator"):
            for _ in range(5):
                yield born(family)

    with family.step("request"):
        walk = items()
        with ThreadPoolExecutor(3) as pool:
            for _ in range(5):
                copied = contextvars.copy_context()
                assert pool.submit(copied.run, next, walk).result() == "generator"
                assert pool.submit(contextvars.copy_context().run, born, family).result() == "request"
        assert next(walk, None) is None


def test_send_and_throw(family):
    """Sending and throwing into a generator resume its step, too."""

    def items():
        with family.step("generator"):
            said = yield
            while True:
                try:
                    said = yield said, born(family)
                except ValueError:
                    said = "thrown"

    walk = items()
    next(walk)
    assert walk.send("hello") == ("hello", "generator")
    assert walk.throw(ValueError()) == ("thrown", "generator")
    assert born(family) is None
    walk.close()


def test_abandoned_generator(family):
    """A generator that nobody refers to any more is closed at once, in a cycle by the collector."""

    class Holder:
        pass

    def items(holder):
        with family.step("generator") as step:
            holder.ended = weakref.ref(step) if isinstance(step, Block) else step
            yield

    holder = Holder()
    walk = items(holder)
    next(walk)
    del walk
    _assert_ended(holder.ended)

    holder.walk = items(holder)
    next(holder.walk)
    gone, ended = weakref.ref(holder), holder.ended
    del holder
    gc.collect()
    assert gone() is None
    _assert_ended(ended)
    assert born(family) is None


def _assert_ended(ended):
    if isinstance(ended, weakref.ref):
        assert ended() is None
    else:
        assert ended.outcome == "cancelled"


def test_a_step_that_has_ended_is_let_go():
    """After its end nothing here keeps a step alive, nor what a generator's frame held."""

    class Thing:
        pass

    def items(thing):
        with Block("generator") as step:
            yield step
            del step

    thing = Thing()
    walk = items(thing)
    step, alive = weakref.ref(next(walk)), weakref.ref(thing)
    task = contextvars.copy_context()
    with Block("plain") as plain:
        task = contextvars.copy_context()
    plain, kept = weakref.ref(plain), task
    walk.close()
    del walk, thing
    gc.collect()
    assert (step(), alive(), plain()) == (None, None, None)
    assert kept.run(current) is None


def test_steps_handed_on_for_ever_take_no_more_memory():
    """Steps that always end elsewhere, after the next one has begun, leave no growing row behind."""
    last = Block("first")
    last.__enter__()
    for _ in range(1000):
        step = Block("next")
        step.__enter__()
        contextvars.Context().run(last.__exit__)
        last = step
    length, node = 0, last.node
    while node is not None:
        length, node = length + 1, node.back
    last.__exit__()
    assert length < 4


def test_a_step_never_ended_in_a_finished_generator():
    """A step that a generator forgot to end does not become the parent of another function's steps."""

    def forgetful():
        step = Block("forgotten")
        stack.enter_context(step)
        yield step

    stack = ExitStack()
    next(forgetful())

    def others(depth=30):
        yield current()
        if depth:
            yield from others(depth - 1)

    assert set(others()) == {None}
    stack.close()


def test_exit_of_the_interpreter():
    """Generators that are still open when the interpreter exits end their steps without a word."""
    code = (
        "from ai_trace.current import enter, leave, current\n"
        "import sys\n"
        "class Step:\n"
        "    def __enter__(self, getframe=sys._getframe): self.node = enter(self, getframe(1))\n"
        "    def __exit__(self, *_, leave=leave): leave(self.node)\n"
        "def items():\n"
        "    with Step():\n"
        "        yield\n"
        "walk = items(); next(walk)\n"
        "import ai_trace.current, builtins\n"
        "builtins.module = ai_trace.current\n"
        "builtins.kept = items(); next(builtins.kept)\n"
        "Step().__enter__()\n"
    )
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


# Helpers made by contextlib


def test_contextmanager_helper(family):
    """The block of `with helper():` is inside the step that the helper holds open, its end too."""
    seen = []

    @contextmanager
    def helper(name="helper"):
        with family.step(name):
            seen.append(born(family))
            yield
            seen.append(born(family))

    with family.step("outer"):
        with helper():
            assert born(family) == "helper"
            with helper("second"):
                assert born(family) == "second"
            assert born(family) == "helper"
        assert born(family) == "outer"
    assert seen == ["helper", "second", "second", "helper"]

    @helper("decorator")
    def work():
        return born(family)

    assert work() == "decorator"
    assert born(family) is None


def test_contextmanager_helper_of_helpers(family):
    """A helper may take its steps from other helpers, an ExitStack included."""

    @contextmanager
    def inner():
        with family.step("inner") as step:
            yield step

    @contextmanager
    def outer():
        with inner() as step, ExitStack() as stack:
            assert family.current() is step
            yield stack.enter_context(inner())

    with ExitStack() as stack:
        step = stack.enter_context(outer())
        assert family.current() is step
        assert family.parent(step) == "inner"
        assert born(family) == "inner"
    assert born(family) is None


def test_contextmanager_helper_inside_a_generator(family):
    """A helper's step that a generator holds open across a yield is the generator's, not its consumer's."""

    @contextmanager
    def helper(name):
        with family.step(name):
            yield

    def items():
        with helper("with"):
            yield born(family)
        with ExitStack() as stack:
            stack.enter_context(helper("stack"))
            stack.enter_context(family.step("step"))
            yield born(family)

    with family.step("consumer"):
        walk = items()
        assert next(walk) == "with"
        assert born(family) == "consumer"
        assert next(walk) == "step"
        assert born(family) == "consumer"
        walk.close()


def test_step_in_the_cleanup_of_a_helper(family):
    """A step begun in a helper's cleanup is under the block's step, and over with it."""
    seen = []

    @contextmanager
    def helper():
        try:
            yield
        finally:
            seen.append(born(family))

    with family.step("outer"):
        with helper():
            pass
        with pytest.raises(ValueError):
            with helper():
                raise ValueError
        assert born(family) == "outer"
    assert seen == ["outer", "outer"]


def test_async_helpers(family):
    """`asynccontextmanager`, AsyncExitStack and `async with step` do as their synchronous twins do."""

    @asynccontextmanager
    async def helper(name):
        await asyncio.sleep(0)
        async with family.step(name):
            await asyncio.sleep(0)
            yield
            await asyncio.sleep(0)

    async def items():
        async with helper("in generator"), AsyncExitStack() as stack:
            yield born(family)
            await stack.enter_async_context(helper("stack"))
            yield born(family)
            await stack.enter_async_context(family.step("step"))
            yield born(family)

    async def main():
        async with family.step("outer"):
            async with helper("helper"):
                assert born(family) == "helper"
            async with AsyncExitStack() as stack:
                await stack.enter_async_context(helper("stacked"))
                stack.enter_context(family.step("step"))
                assert born(family) == "step"
            expected = iter(["in generator", "stack", "step"])
            async for parent in items():
                assert parent == next(expected)
                assert born(family) == "outer"
        assert born(family) is None

    asyncio.run(main())


# Tasks


def test_tasks_inherit(family):
    """A task's steps are under the step in which the task was started; tasks do not disturb one another."""

    async def work(name):
        with family.step(name) as step:
            await asyncio.sleep(0)
            assert born(family) == name
        return family.parent(step)

    async def main():
        with family.step("outer"):
            assert await asyncio.gather(work("a"), work("b"), work("c")) == ["outer"] * 3
            assert born(family) == "outer"

    asyncio.run(main())


@pytest.mark.skipif(sys.version_info < (3, 11), reason="TaskGroup came with Python 3.11")
def test_task_group(family):
    """Tasks of a TaskGroup are under the step around the group, also beside a failing one."""

    async def work(fail):
        with family.step("work") as step:
            await asyncio.sleep(0)
            if fail:
                raise ValueError
            await asyncio.sleep(0)
        return family.parent(step)

    async def main():
        with family.step("outer"):
            with pytest.raises(BaseException, match="unhandled errors"):
                async with asyncio.TaskGroup() as group:
                    task = group.create_task(work(False))
                    group.create_task(work(False))
                    await asyncio.sleep(0)
                    await task
                    group.create_task(work(True))
            assert born(family) == "outer"
            return task.result()

    assert asyncio.run(main()) == "outer"


def test_a_task_outlives_its_parent_step(family):
    """In a task that goes on after the step it was started in has ended, the step around that one counts."""

    async def work(ended):
        first = born(family)
        await ended.wait()
        return first, born(family)

    async def main():
        ended = asyncio.Event()
        with family.step("outer"):
            with family.step("inner"):
                task = asyncio.create_task(work(ended))
                await asyncio.sleep(0)
            ended.set()
            return await task

    assert asyncio.run(main()) == ("inner", "outer")


def test_entered_in_one_task_ended_in_another(family):
    """A step may be entered in one task and ended in another; neither raises, neither keeps it current."""

    async def main():
        step = family.step("handed on")

        async def begin():
            step.__enter__()
            assert born(family) == "handed on"

        async def end():
            step.__exit__(None, None, None)
            return born(family)

        with family.step("outer"):
            await asyncio.create_task(begin())
            assert born(family) == "outer"
            assert await asyncio.create_task(end()) == "outer"

    asyncio.run(main())


def test_a_thousand_tasks(family):
    """A thousand tasks that take turns at random mix nothing up."""
    order = random.Random(11)

    async def work(name):
        with family.step(name):
            for _ in range(3):
                for _ in range(order.randrange(3)):
                    await asyncio.sleep(0)
                with family.step(name + "x"):
                    await asyncio.sleep(0)
                    assert born(family) == name + "x"
            assert born(family) == name

    async def main():
        with family.step("outer"):
            await asyncio.gather(*(work(str(i)) for i in range(1000 if isinstance(family, Bare) else 100)))
            assert born(family) == "outer"

    asyncio.run(main())


def test_async_generators_in_turns(family):
    """Async generators that one task, or several, consume in turns keep their children apart."""

    async def items(name):
        with family.step(name):
            for _ in range(3):
                await asyncio.sleep(0)
                yield born(family)

    async def consume(name):
        with family.step("consumer " + name):
            async with aclosing(items(name)) as walk:
                async for parent in walk:
                    assert parent == name
                    assert born(family) == "consumer " + name

    async def main():
        with family.step("outer"):
            await asyncio.gather(*(consume(str(i)) for i in range(10)))
            one, two = items("one"), items("two")
            assert await one.__anext__() == "one"
            assert await two.__anext__() == "two"
            assert await one.__anext__() == "one"
            await one.aclose()
            assert await two.__anext__() == "two"
            assert born(family) == "outer"
            await two.aclose()

    asyncio.run(main())


def test_async_generator_with_a_task_for_each_item(family):
    """Where each item is awaited in a task of its own, the generator's step counts all the same."""

    async def items():
        with family.step("generator"):
            while True:
                await asyncio.sleep(0)
                yield born(family)

    async def main():
        with family.step("consumer"):
            async with aclosing(items()) as walk:
                for _ in range(3):
                    assert await asyncio.wait_for(walk.__anext__(), 60) == "generator"
                    assert await asyncio.create_task(walk.__anext__()) == "generator"
                    assert born(family) == "consumer"

    asyncio.run(main())


def test_abandoned_async_generator(family):
    """The loop closes an async generator that was abandoned, elsewhere and later; nothing raises."""

    async def items():
        async with family.step("generator"):
            yield born(family)

    async def main():
        with family.step("consumer"):
            async for parent in items():
                assert parent == "generator"
                break
            gc.collect()
            await asyncio.sleep(0)
            assert born(family) == "consumer"
            kept = items()
            await kept.__anext__()
            return kept

    kept = asyncio.run(main())  # shutting down closes it
    assert kept.ag_frame is None


def test_generator_based_coroutine(family):
    """A generator made awaitable by `types.coroutine` is a coroutine: its step is its task's."""

    @types.coroutine
    def pause():
        yield

    @types.coroutine
    def work():
        with family.step("work"):
            yield from pause()
            task = asyncio.create_task(_later(born, family))
            yield from pause()
            return born(family), task.result()

    async def main():
        with family.step("outer"):
            assert await asyncio.gather(_awaited(work()), _awaited(work())) == [("work", "work")] * 2
            assert await work() == ("work", "work")
            assert born(family) == "outer"

    asyncio.run(main())


async def _awaited(thing):
    return await thing


# What is documented to fall one ancestor higher, or to stay


def test_documented_exceptions(family):
    """Where the rule cannot see, a parent is an ancestor, never a stranger."""

    def fixture():
        with family.step("fixture"):
            yield

    async def items():
        with family.step("generator"):
            yield await asyncio.create_task(_later(born, family))

    async def main():
        with family.step("consumer"):
            async for parent in items():
                return parent

    @contextmanager
    def helper():
        yield from fixture()

    def hand(step):
        step.__enter__()

    def forgetful(step):
        hand(step)
        yield

    with family.step("outer"):
        walk = fixture()
        next(walk)
        assert born(family) == "outer"  # as the test around a pytest fixture
        walk.close()
        with helper():
            assert born(family) == "outer"
        step = family.step("by hand")
        walk = forgetful(step)
        next(walk)
        assert born(family) == "by hand"
        walk.close()
        step.__exit__(None, None, None)
    assert asyncio.run(main()) == "consumer"


async def _later(fn, *args):
    return fn(*args)


# Carried elsewhere by propagate


def test_propagate_into_threads(family):
    """Many threads at once run a function under the caller's step, and are as before afterwards."""
    meet = threading.Barrier(4)

    def work(x):
        meet.wait(600)
        with family.step("work") as step:
            meet.wait(600)
            return x, family.parent(step), born(family)

    with ThreadPoolExecutor(4) as pool:
        with family.step("outer"):
            found = list(pool.map(propagate(work), range(8)))
        assert found == [(x, "outer", "work") for x in range(8)]
        assert {pool.submit(born, family).result() for _ in range(8)} == {None}


def test_propagate_out_of_a_generator(family):
    """The step of a running generator can be carried into a thread, and is current there."""

    def items(pool):
        with family.step("generator"):
            yield pool.submit(propagate(born), family).result()

    def job(pool):
        with family.step("job"):
            return list(items(pool))

    with ThreadPoolExecutor(2) as pool:
        assert list(items(pool)) == ["generator"]
        assert pool.submit(job, pool).result() == ["generator"]


def test_propagate_inside_a_generator(family):
    """What was given a step is under that step also where a generator with a step calls it."""

    def inner():
        with family.step("inner") as step:
            yield family.parent(step)

    def items(work):
        with family.step("generator"):
            yield work()
            yield born(family)

    def work():
        return born(family), list(inner())

    with family.step("given"):
        carried = propagate(work)
        assert list(items(carried)) == [("given", ["given"]), "generator"]
    assert list(items(carried)) == [("generator", ["generator"]), "generator"]  # what was given has ended


def test_propagate_after_the_end(family):
    """Where the step has ended before the function runs, the one around it is the parent, if any."""
    with family.step("outer"):
        with family.step("inner"):
            work = propagate(lambda: born(family))
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(work).result() == "outer"
    assert work() is None


def test_propagate_nothing():
    """Where no step is current there is nothing to carry, and the function is returned as it is."""
    assert propagate(born) is born


def test_propagate_keeps_the_kind(family):
    """Coroutine, generator and async generator functions stay what they are, and run under the step."""

    async def coroutine():
        await asyncio.sleep(0)
        task = asyncio.create_task(_later(born, family))
        return born(family), task

    def generator():
        said = yield born(family)
        yield said, born(family)
        return "end"

    async def async_generator():
        yield born(family)
        yield await asyncio.create_task(_later(born, family))

    with family.step("given") as given:
        carried = [propagate(kind) for kind in (coroutine, generator, async_generator)]

        async def main():
            found, task = await carried[0]()
            assert (found, await task) == ("given", "given")
            async for parent in carried[2]():
                assert parent == "given"
                assert born(family) is None
            assert born(family) is None

        contextvars.Context().run(asyncio.run, main())

        def elsewhere():
            walk = carried[1]()
            assert next(walk) == "given"
            assert born(family) is None
            assert walk.send("said") == ("said", "given")
            with pytest.raises(StopIteration, match="end"):
                next(walk)

        contextvars.Context().run(elsewhere)
        assert family.current() is given
