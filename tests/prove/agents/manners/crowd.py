"""Several tools at a time, two of them keyless at the same collection; and tools that only read."""

import asyncio

from web import acts_of, post, send

import tape


@tape.tool(semantics="idempotent")
def add(item: str) -> str:
    post("MINT", "items", {"item": item}, tape.idempotency_key())
    return item


@tape.tool(semantics="non_idempotent", authoritative=True, business_key=lambda amount: f"order-{amount}")
async def wire_once(amount: int) -> str:
    """Has no key for the bank: its look-up goes by what stands in the wire."""
    await asyncio.to_thread(post, "BANK", "wires", {"order": tape.current_effect().business_key})
    return "wired"


@wire_once.observe
def find_wire(effect: tape.Effect) -> tape.Observation:
    wires = [act for act in send("GET", "BANK", "/wires") if act["body"]["order"] == effect.business_key]
    return tape.present("wired") if wires else tape.absent()


@tape.tool(semantics="non_idempotent", authoritative=True)
def book_once(seat: int) -> str:
    post("BANK", "wires", {"order": f"seat-{seat}"}, tape.idempotency_key())
    return "booked"


@book_once.observe
def find_seat(effect: tape.Effect) -> tape.Observation:
    return tape.present("booked") if acts_of("BANK", "wires", effect.key) else tape.absent()


@tape.tool(semantics="read_only")
def count() -> int:
    return len(send("GET", "MINT", "/items"))


@tape.agent
async def crowd(run: tape.Run, amount: int) -> list:
    first = await asyncio.gather(wire_once(1), wire_once(2), add("pen"))
    second = await asyncio.gather(book_once(3), count())
    return [*first, *second]
