"""Look-ups that do not tell the truth, each in its own way."""

from web import acts_of, post

import tape


@tape.tool(semantics="non_idempotent", authoritative=True)
def wire(amount: int) -> dict:
    return {"id": post("BANK", "wires", {"amount": amount}, tape.idempotency_key())["id"]}


@wire.observe
def find_wire(effect: tape.Effect) -> tape.Observation:
    """Looks in the wrong collection: never finds anything."""
    found = acts_of("BANK", "transfers", effect.key)
    return tape.present({"id": found[0]["id"]}) if found else tape.absent()


@tape.tool(semantics="non_idempotent", authoritative=True)
def invoice(amount: int) -> str:
    post("BANK", "invoices", {"amount": amount}, tape.idempotency_key())
    return "sent"


@invoice.observe
def find_invoice(effect: tape.Effect) -> tape.Observation:
    """Believes that what was begun is done."""
    return tape.present("sent")


@tape.tool(semantics="non_idempotent", authoritative=True, settle_delay=0.05)
def book(amount: int) -> str:
    post("SLOW", "bookings", {"amount": amount}, tape.idempotency_key())
    return "booked"


@book.observe
def find_booking(effect: tape.Effect) -> tape.Observation:
    """Asks a copy that is 300 ms old, after 50 ms."""
    return tape.present("booked") if acts_of("SLOW", "bookings", effect.key) else tape.absent()


@tape.tool(semantics="non_idempotent", authoritative=True)
def reserve(seats: int) -> dict:
    seat = post("BANK", "seats", {"seats": seats}, tape.idempotency_key())
    return {"id": seat["id"], "seats": seats}


@reserve.observe
def find_seat(effect: tape.Effect) -> tape.Observation:
    """Hands over the act as the upstream tells it, not what the body returns."""
    found = acts_of("BANK", "seats", effect.key)
    return tape.present({"id": found[0]["id"], **found[0]["body"], "found": True}) if found else tape.absent()


@tape.agent
async def trusting(run: tape.Run, amount: int) -> str:
    await wire(amount)
    await invoice(amount)
    await book(amount)
    await reserve(amount)
    return "done"
