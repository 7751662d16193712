"""A coroutine that begins at once does all that a task's does, but for what needs a task."""

import asyncio

import pytest

from datareeve.capabilities.ai.gateway.going import Going


def on_loop(work):
    return asyncio.run(asyncio.wait_for(work(), 10))


async def ended(going):
    while not going.ended:  # noqa: ASYNC110 - it has no event
        await asyncio.sleep(0)


def test_it_begins_before_anything_else_and_may_end_so():
    async def work():
        seen = []

        async def at_once():
            seen.append("done")

        assert Going(at_once()).ended
        assert seen == ["done"]

    on_loop(work)


def test_it_waits_for_futures_tasks_threads_and_others_turns():
    async def work():
        seen, loop = [], asyncio.get_running_loop()
        future = loop.create_future()

        async def waits():
            seen.append(await future)
            seen.append(await asyncio.to_thread(lambda: 2))
            await asyncio.sleep(0)
            done, _ = await asyncio.wait({loop.create_task(asyncio.sleep(0.001, 3))}, timeout=5)
            seen.append(done.pop().result())
            try:
                await loop.create_task(fails())
            except ValueError:
                seen.append("failed")

        async def fails():
            raise ValueError

        going = Going(waits())
        assert not going.ended
        loop.call_soon(future.set_result, 1)
        await ended(going)
        assert seen == [1, 2, 3, "failed"]

    on_loop(work)


@pytest.mark.parametrize("where", ["future", "sleep", "wait", "turn"])
def test_it_is_cancelled_where_it_waits(where):
    async def work():
        seen, loop = [], asyncio.get_running_loop()
        other = loop.create_future()

        async def waits():
            try:
                if where == "future":
                    await loop.create_future()
                elif where == "sleep":
                    await asyncio.sleep(1000)
                elif where == "wait":
                    await asyncio.wait({other}, timeout=1000)
                else:
                    await asyncio.sleep(0)
            except asyncio.CancelledError:
                await asyncio.sleep(0)  # it may wait for what it must still do
                seen.append("cancelled")
                raise

        going = Going(waits())
        going.cancel()
        await ended(going)
        assert seen == ["cancelled"]
        assert not other.cancelled()

    on_loop(work)


def test_what_it_raises_is_told():
    async def work():
        told = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))

        async def fails():
            raise ZeroDivisionError

        assert Going(fails()).ended
        assert [type(error) for error in told] == [ZeroDivisionError]

    on_loop(work)
