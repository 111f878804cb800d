"""An event loop that knows when it is idle, and when nothing but Tape's own could wake it."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from tape.core.agent.loop import IdleSelector, new_loop
from tape.core.clock import ManualClock
from tape.core.kernel.errors import LeaseLost

Loop = tuple[asyncio.AbstractEventLoop, IdleSelector]


@pytest.fixture
def made() -> Iterator[Loop]:
    loop, selector = new_loop(ManualClock())
    yield loop, selector
    selector.on_idle = lambda quiet: False
    selector.threads.shutdown()
    loop.close()


def run(made: Loop, main: Callable[[asyncio.Future[None]], object], limit: int = 3) -> list[bool]:
    """What `on_idle` is told until it ends the loop the `limit`-th time."""
    loop, selector = made
    told: list[bool] = []
    done: asyncio.Future[None] = loop.create_future()

    def on_idle(quiet: bool) -> bool:
        told.append(quiet)
        if len(told) >= limit and not done.done():
            done.set_result(None)
            return True
        return False

    async def go() -> None:
        found = main(done)
        if asyncio.iscoroutine(found):
            await found
        await done

    selector.on_idle = on_idle
    loop.run_until_complete(asyncio.wait_for(go(), 30) if limit > 1 else go())
    return told


def test_it_is_idle_only_when_nothing_is_ready(made: Loop) -> None:
    turns: list[int] = []

    async def spin(done: asyncio.Future[None]) -> None:
        for number in range(50):
            await asyncio.sleep(0)
            turns.append(number)

    assert run(made, spin, limit=1) == [True]
    assert len(turns) == 50, "not before the last of them"


def test_a_timer_is_not_quiet(made: Loop) -> None:
    def wait(done: asyncio.Future[None]) -> None:
        made[0].call_later(3600, lambda: None)

    assert run(made, wait, limit=1) == [False]


def test_a_file_of_the_codes_own_is_not_quiet(made: Loop) -> None:
    ours, link, theirs = socket.socketpair(), socket.socketpair(), socket.socketpair()

    def wait(done: asyncio.Future[None]) -> None:
        made[0].add_reader(link[0], lambda: None)

    def wait_more(done: asyncio.Future[None]) -> None:
        made[0].add_reader(theirs[0], lambda: None)

    assert run(made, wait, limit=1) == [True], "the link to the server is Tape's"
    assert run(made, wait_more, limit=1) == [False]
    for pair in (ours, link, theirs):
        for end in pair:
            made[0].remove_reader(end)
            end.close()


def test_a_thread_is_not_quiet(made: Loop) -> None:
    release = threading.Event()
    entered = threading.Event()

    def body() -> None:
        entered.set()
        release.wait(10)

    def wait(done: asyncio.Future[None]) -> None:
        made[0].run_in_executor(None, body)
        entered.wait(10)

    assert run(made, wait, limit=1) == [False]
    release.set()
    made[1].threads.shutdown()
    assert made[1].threads.busy == 0


def test_what_on_idle_makes_ready_runs_at_once(made: Loop) -> None:
    loop, selector = made
    future: asyncio.Future[str] = loop.create_future()

    def on_idle(quiet: bool) -> bool:
        future.set_result("handed over")
        return True

    selector.on_idle = on_idle
    assert loop.run_until_complete(future) == "handed over"


def test_how_long_it_has_been_silent(made: Loop) -> None:
    loop, selector = made
    clock = selector.clock
    assert isinstance(clock, ManualClock)

    async def busy() -> list[int]:
        await asyncio.sleep(0)
        clock.advance(5)
        silent = [selector.silent_us()]
        for _ in range(3):  # a loop that always has something to do comes round all the same
            await asyncio.sleep(0)
            clock.advance(1)
            silent.append(selector.silent_us())
        return silent

    assert loop.run_until_complete(busy()) == [5_000_000, 1_000_000, 1_000_000, 1_000_000]
    seen: list[int] = []
    selector.wait = lambda timeout: (clock.advance(60), seen.append(selector.silent_us()), [])[2]  # type: ignore[method-assign]
    loop.call_soon(loop.call_later, 0.001, loop.stop)
    loop.run_forever()
    assert set(seen) == {0}, "waiting is not silence"


def test_signals_that_nobody_awaits_are_no_noise(made: Loop, caplog: pytest.LogCaptureFixture) -> None:
    loop, _ = made

    async def unwound(error: BaseException) -> None:
        raise error

    for error in (LeaseLost("epoch 1"), ValueError("mine")):
        task = loop.create_task(unwound(error))
        loop.run_until_complete(asyncio.wait({task}))
        del task
    assert "ValueError: mine" in caplog.text and "LeaseLost" not in caplog.text
