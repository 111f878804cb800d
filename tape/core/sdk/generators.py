"""Async generators that nobody refers to any more are closed where they were begun.

The event loop closes them in a task that has the context of whatever runs when that is found out: another run's.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Callable
from contextvars import Context, copy_context
from typing import Any
from weakref import ref

Hook = Callable[[AsyncGenerator[Any, Any]], None]


class Generators:
    """Those that were begun on one event loop, and in which context each was."""

    def __init__(self, began: Hook, close: Hook) -> None:
        """`began`, `close`: the event loop's own."""
        self._began = began
        self._close = close
        self._known: dict[int, tuple[ref[AsyncGenerator[Any, Any]], Context]] = {}
        """By id, as a weak reference is gone before its generator is to be closed. Who takes over the id of a dead one
        takes over its place here before it can be closed itself."""

    @classmethod
    def of_this_loop(cls) -> Generators:
        """Those of the loop that runs here; from now on they are known."""
        began, close = sys.get_asyncgen_hooks()
        known = getattr(close, "__self__", None)
        if isinstance(known, cls):
            return known
        made = cls(began or _nothing, close or _nothing)
        sys.set_asyncgen_hooks(made.begin, made.close)
        return made

    def begin(self, generator: AsyncGenerator[Any, Any]) -> None:
        self._known[id(generator)] = ref(generator), copy_context()
        self._began(generator)

    def close(self, generator: AsyncGenerator[Any, Any]) -> None:
        """In any thread. One that is not known is not closed: nothing that it does then would be right."""
        known = self._known.pop(id(generator), None)
        if known is not None:
            known[1].run(self._close, generator)

    def forget(self) -> None:
        """Lets go of those that are over."""
        for at, (generator, _) in list(self._known.items()):
            if generator() is None:
                self._known.pop(at, None)


def _nothing(generator: AsyncGenerator[Any, Any]) -> None:
    pass
