"""Trials in parallel: forked processes of our own, each with a bench of its own, one trial at a time in each."""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from multiprocessing import util
from typing import Any, Generic, TypeVar

from tape.core.config import Config
from tape.core.kernel.errors import EnvironmentTrouble
from tape.lab.bench import Bench

Task = TypeVar("Task")
Answer = TypeVar("Answer")

_benches: dict[str, tuple[ExitStack, Bench]] = {}


def usual_jobs() -> int:
    """One more than there are cores: a trial also waits, for look-ups and for deaths."""
    return (os.cpu_count() or 1) + 1


def bench_of(config: Config, environment: Mapping[str, str]) -> Bench:
    """This process's bench for the project; it is kept, and closed with the process or when another one is wanted."""
    name = repr((str(config.source), config.agents, sorted(config.upstream), sorted(environment.items())))
    if name not in _benches:
        close_benches()
        stack = ExitStack()
        _benches[name] = (stack, stack.enter_context(Bench(config, environment)))
    return _benches[name][1]


def close_benches() -> None:
    while _benches:
        _benches.popitem()[1][0].close()


def _interrupt(number: int, frame: object) -> None:
    """Told to end, a parent of a crew ends it first, as after Ctrl-C."""
    raise KeyboardInterrupt


def _begin(scratch: str) -> None:
    tempfile.tempdir = scratch  # what a crew that is killed leaves behind goes with it
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is the parent's business
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    gc.freeze()  # what was loaded before the fork stays for good: no need to look through it again and again
    util.Finalize(None, close_benches, exitpriority=10)


class Crew(Generic[Task, Answer]):
    """Plays tasks by `work`, a function at a module's top. Made before this process has threads: it is forked."""

    def __init__(self, work: Callable[[Task], Answer], jobs: int) -> None:
        self._work = work
        self.jobs = max(1, jobs)
        self._scratch = tempfile.TemporaryDirectory(prefix="tape-crew-", ignore_cleanup_errors=True)
        self._pool = ProcessPoolExecutor(
            self.jobs,
            mp_context=multiprocessing.get_context("fork"),
            initializer=_begin,
            initargs=(self._scratch.name,),
        )

    def answers(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Answer]]:
        """Each task with its answer, as they end. Raises EnvironmentTrouble if a process of the crew dies."""
        open_: dict[Future[Answer], Task] = {}
        waiting = iter(tasks)
        try:
            for task in waiting:
                open_[self._pool.submit(self._work, task)] = task
                if len(open_) > self.jobs:
                    yield from self._next(open_)
            while open_:
                yield from self._next(open_)
        except BrokenProcessPool:
            raise EnvironmentTrouble(
                "a process that played trials was killed from outside: start again, with fewer --jobs if it was for "
                "want of memory"
            ) from None

    def _next(self, open_: dict[Future[Answer], Task]) -> Iterator[tuple[Task, Answer]]:
        done, _ = wait(open_, return_when=FIRST_COMPLETED)
        for future in done:
            yield open_.pop(future), future.result()

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._scratch.cleanup()

    def kill(self) -> None:
        """Ends everything now: the crew, and with it all agents and stand-ins."""
        processes: Any = getattr(self._pool, "_processes", None) or {}
        for process in list(processes.values()):
            process.kill()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._scratch.cleanup()


@contextmanager
def crew(work: Callable[[Task], Answer], jobs: int) -> Generator[Crew[Task, Answer]]:
    """A crew for a while; an error or Ctrl-C in between ends it at once."""
    before = {number: signal.signal(number, _interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    made = Crew(work, jobs)
    try:
        yield made
    except BaseException:
        made.kill()
        raise
    else:
        made.close()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
