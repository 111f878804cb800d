"""An office that gives work to others: child runs, each with effects and keys of its own."""

import asyncio

from clerk import wire
from saga import book_flight, book_hotel
from web import act

import tape


@tape.tool(semantics="idempotent")
def file_note(what: str) -> dict:
    return act("SHOP", "notes", {"what": what}, tape.idempotency_key())


@tape.agent
async def errand(run: tape.Run, to: str) -> str:
    """One wire."""
    receipt = await wire(to)
    return f"{to}: {receipt['what']}"


@tape.agent
async def payroll(run: tape.Run, names: list[str]) -> list[str]:
    """One errand for each name, all at once."""
    return await asyncio.gather(*[run.start(errand, name) for name in names])


@tape.agent
async def office(run: tape.Run, to: str) -> str:
    """Has somebody else wire, and files a note meanwhile."""
    child = run.start(errand, to)
    await file_note(f"asked for a wire to {to}")
    return await child


@tape.agent
async def trip(run: tape.Run, to: str) -> str:
    """The first of them books a hotel and has another one book the flight; that one waits for better weather."""
    if to.endswith(" by air"):
        await book_flight(to)
        await run.sleep(3600)
        return "there"
    await book_hotel(to)
    return await run.start(trip, f"{to} by air")
