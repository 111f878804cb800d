"""The same tools with look-ups that tell what is so, in the body's own words, and not too early."""

from web import acts_of, post

import tape


def truth(effect: tape.Effect, upstream: str, collection: str, receipt) -> tape.Observation:
    found = [receipt(act) for act in acts_of(upstream, collection, effect.key)]
    if len(found) > 1:
        return tape.duplicate(found)
    return tape.present(found[0]) if found else tape.absent()


@tape.tool(semantics="non_idempotent", authoritative=True)
def wire_money(amount: int) -> dict:
    return {"id": post("BANK", "wires", {"amount": amount}, tape.idempotency_key())["id"]}


@wire_money.observe
async def find_wire(effect: tape.Effect) -> tape.Observation:
    return truth(effect, "BANK", "wires", lambda act: {"id": act["id"]})


@tape.tool(semantics="non_idempotent", authoritative=True)
def send_invoice(amount: int) -> str:
    post("BANK", "invoices", {"amount": amount}, tape.idempotency_key())
    return "sent"


@send_invoice.observe
def find_invoice(effect: tape.Effect) -> tape.Observation:
    return truth(effect, "BANK", "invoices", lambda act: "sent")


@tape.tool(semantics="non_idempotent", authoritative=True, settle_delay=0.5)
def book_trip(amount: int) -> str:
    post("SLOW", "bookings", {"amount": amount}, tape.idempotency_key())
    return "booked"


@book_trip.observe
def find_booking(effect: tape.Effect) -> tape.Observation:
    return truth(effect, "SLOW", "bookings", lambda act: "booked")


@tape.tool(semantics="non_idempotent", authoritative=True)
def reserve_seats(seats: int) -> dict:
    seat = post("BANK", "seats", {"seats": seats}, tape.idempotency_key())
    return {"id": seat["id"], "seats": seats}


@reserve_seats.observe
def find_seat(effect: tape.Effect) -> tape.Observation:
    return truth(effect, "BANK", "seats", lambda act: {"id": act["id"], **act["body"]})


@tape.agent
async def thorough(run: tape.Run, amount: int) -> str:
    await wire_money(amount)
    await send_invoice(amount)
    await book_trip(amount)
    await reserve_seats(amount)
    return "done"
