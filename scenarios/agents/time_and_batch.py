"""A day's sleep between two acts, and several payments at a time."""

import asyncio

from clerk import charge_card, wire

import tape

DAY = 24 * 3600


def think(what: str) -> str:
    return what


@tape.agent
async def sleeper(run: tape.Run, task: str) -> str:
    """Reserves, waits for a day, pays."""
    reserved = await run.decide(think, "reserve first")
    await charge_card("the deposit")
    await run.sleep(DAY)  # a durable timer: no process waits for it
    await charge_card("the rest")
    return f"{task}: {reserved}, paid a day later"


@tape.agent
async def payer(run: tape.Run, suppliers: list[str]) -> int:
    """Pays all suppliers at once: one decision, one batch."""
    await run.decide(think, "pay all of them")
    paid = await asyncio.gather(*[wire(supplier) for supplier in suppliers])
    return len(paid)
