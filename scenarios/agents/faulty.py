"""Agents with a fault that a crash brings to light, and that somebody mends in the end."""

import os
import signal

from clerk import charge_card
from web import act

import tape

MENDED_AT = 5


@tape.tool(semantics="idempotent")
def poison(what: str) -> dict:
    """Kills its own process at its first four attempts; by the fifth, somebody has mended the cause."""
    if tape.current_effect().attempt < MENDED_AT:
        os.kill(os.getpid(), signal.SIGKILL)
    return act("SHOP", "charges", {"what": what}, tape.idempotency_key())


def think(what: str) -> str:
    return what


@tape.agent
async def unlucky(run: tape.Run, task: str) -> str:
    await run.decide(think, task)
    await poison(task)
    return "paid"


@tape.agent
async def changed(run: tape.Run, task: str) -> str:
    """Its second drive runs a bad release, which asks for something else; by the third, it was rolled back."""
    await run.decide(think, task)
    await charge_card(f"{task}, again" if run.drive == 2 else task)
    await run.decide(think, "is it paid?")
    return "paid"
