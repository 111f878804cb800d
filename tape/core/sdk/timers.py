"""Timers: a durable wake-up. While a run waits for one, its worker is free."""

from __future__ import annotations

from typing import Any

from tape.core.kernel import identity
from tape.core.kernel.errors import UsageError
from tape.core.sdk.context import RunContext
from tape.core.sdk.replay import Outcome

LIMIT_SECONDS = 100 * 366 * 86_400


class Timers:
    """`run.sleep` of one drive."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._count = 0

    async def sleep(self, seconds: float) -> None:
        context = self._context
        await context.admit()
        number: Any = seconds
        if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number <= LIMIT_SECONDS:
            raise UsageError(f"run.sleep takes seconds, from 0 to a hundred years, not {seconds!r}")
        ordinal, self._count = self._count, self._count + 1
        name: Outcome = ("timer", ordinal)
        fingerprint = identity.fingerprint("timer", "sleep", float(seconds))
        recorded = context.tape.timers_set.get(ordinal)
        if recorded is None:
            body = {"ordinal": ordinal, "seconds": float(seconds), "fingerprint": fingerprint}

            def set_timer() -> None:
                context.external.add(name)
                context.boundary("timer", body)

            context.perform(name, f"timer {float(seconds)} s", set_timer)
        elif recorded["fingerprint"] != fingerprint:
            context.diverge(context.tape.describe(name), f"timer {float(seconds)} s", name)
        else:
            context.note_call(name)
            context.external.add(name)
        await context.outcome(name)
