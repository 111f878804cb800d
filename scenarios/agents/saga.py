"""A journey of three bookings, each with its inverse. What was booked is undone when the run fails or is cancelled."""

from web import act, acts_of, undo

import tape


def bookable(name: str, collection: str) -> tape.Tool:
    """A tool that books, with a look-up and an undo. What is undone already is undone without harm once more."""

    @tape.tool(name=name, semantics="idempotent")
    def book(to: str) -> dict:
        return act("SHOP", collection, {"to": to}, tape.idempotency_key())

    @book.observe
    def find(effect: tape.Effect) -> tape.Observation:
        found = acts_of("SHOP", collection, effect.key)
        return tape.present(found[0]) if found else tape.absent()

    @book.compensate(semantics="idempotent")
    def give_back(effect: tape.Effect) -> None:
        for booking in acts_of("SHOP", collection, effect.key):
            undo("SHOP", collection, booking["id"], tape.idempotency_key())

    return book


book_flight = bookable("book_flight", "flights")
book_hotel = bookable("book_hotel", "hotels")
book_car = bookable("book_car", "cars")


def plan(journey: str) -> dict:
    to, _, wish = journey.partition(", ")
    return {"to": to, "wish": wish}


@tape.agent
async def traveller(run: tape.Run, journey: str) -> str:
    """Books, and fails at the end if the journey is `no visa`."""
    planned = await run.decide(plan, journey)
    await book_flight(planned["to"])
    await book_hotel(planned["to"])
    await book_car(planned["to"])
    if planned["wish"] == "no visa":
        raise RuntimeError("the visa was refused")
    return f"off to {planned['to']}"


# --- an undo that must not be done twice ---------------------------------------------------------------------------


@tape.tool(semantics="idempotent")
def buy_ticket(to: str) -> dict:
    return act("SHOP", "tickets", {"to": to}, tape.idempotency_key())


@buy_ticket.compensate(semantics="non_idempotent")
def refund_ticket(effect: tape.Effect) -> None:
    undo("SHOP", "tickets", effect.result["id"], tape.idempotency_key())


@tape.agent
async def rider(run: tape.Run, to: str) -> str:
    """Buys a ticket, and fails."""
    planned = await run.decide(plan, to)
    await buy_ticket(planned["to"])
    raise RuntimeError("the train is cancelled")
