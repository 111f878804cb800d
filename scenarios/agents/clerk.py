"""One tool for each kind of service, and a clerk that calls the one it is told to, between two decisions.

What a tool is declared to be decides which row of the resolution table settles it after a death.
"""

from web import act, acts_of, send, undo

import tape


def look_up(service: str, collection: str, effect: tape.Effect) -> tape.Observation:
    try:
        found = acts_of(service, collection, effect.key)
    except OSError as error:
        return tape.unclear(f"no answer: {error}")
    if len(found) > 1:
        return tape.duplicate(found)
    return tape.present(found[0]) if found else tape.absent()


# --- it only reads ------------------------------------------------------------------------------------------------


@tape.tool(semantics="read_only")
def read_prices(what: str) -> int:
    return len(send("GET", "SHOP", "/prices"))


# --- the shop honours idempotency keys ----------------------------------------------------------------------------


@tape.tool(semantics="idempotent")
def charge_card(what: str) -> dict:
    return act("SHOP", "charges", {"what": what}, tape.idempotency_key())


@tape.tool(semantics="idempotent")
def place_order(what: str) -> dict:
    return act("SHOP", "orders", {"what": what}, tape.idempotency_key())


@place_order.observe
def find_order(effect: tape.Effect) -> tape.Observation:
    return look_up("SHOP", "orders", effect)


# --- the bank does not, but it can be asked -----------------------------------------------------------------------


@tape.tool(semantics="non_idempotent", authoritative=True, settle_delay=0.05)
def wire(what: str) -> dict:
    return act("BANK", "wires", {"what": what}, tape.idempotency_key())


@wire.observe
def find_wire(effect: tape.Effect) -> tape.Observation:
    return look_up("BANK", "wires", effect)


@tape.tool(semantics="non_idempotent")  # its list may be late, so that nothing on it proves nothing
def post_cheque(what: str) -> dict:
    return act("BANK", "cheques", {"what": what}, tape.idempotency_key())


@post_cheque.observe
def find_cheque(effect: tape.Effect) -> tape.Observation:
    return look_up("BANK", "cheques", effect)


# --- a mistake: two acts in one call ------------------------------------------------------------------------------


@tape.tool(semantics="non_idempotent", authoritative=True, settle_delay=0.05)
def wire_twice(what: str) -> dict:
    act("BANK", "wires", {"what": what}, tape.idempotency_key())
    return act("BANK", "wires", {"what": what}, tape.idempotency_key())


@wire_twice.observe
def find_both_wires(effect: tape.Effect) -> tape.Observation:
    return look_up("BANK", "wires", effect)


@tape.tool(semantics="non_idempotent", authoritative=True, settle_delay=0.05)
def book_twice(what: str) -> dict:
    act("BANK", "bookings", {"what": what}, tape.idempotency_key())
    return act("BANK", "bookings", {"what": what}, tape.idempotency_key())


@book_twice.observe
def find_both_bookings(effect: tape.Effect) -> tape.Observation:
    return look_up("BANK", "bookings", effect)


@book_twice.compensate(semantics="idempotent")
def cancel_booking(effect: tape.Effect) -> None:
    undo("BANK", "bookings", effect.act["id"], tape.idempotency_key())  # the surplus one, and no other


# --- nobody can be asked ------------------------------------------------------------------------------------------


@tape.tool  # nothing is declared: it may have happened, and nobody can tell
def send_text(what: str) -> dict:
    return act("BANK", "texts", {"what": what}, tape.idempotency_key())


@tape.tool(semantics="non_idempotent", on_unknown="compensate")
def hold_seat(what: str) -> dict:
    return act("BANK", "seats", {"what": what}, tape.idempotency_key())


@hold_seat.compensate(semantics="idempotent")
def release_seat(effect: tape.Effect) -> None:
    for seat in acts_of("BANK", "seats", effect.key):  # none, if it was never held
        undo("BANK", "seats", seat["id"], tape.idempotency_key())


@tape.tool(semantics="idempotent")
def charge_in_steps(what: str) -> dict:
    charge = act("SHOP", "charges", {"what": what}, tape.idempotency_key())
    tape.crash_point("charged")  # a place of the author's own, between the act and the return
    return charge


# --- the clerk ----------------------------------------------------------------------------------------------------


def choose(tool: str) -> dict:
    return {"tool": tool, "args": {"what": "invoice 7"}}


def report(outcome: str) -> str:
    return outcome


@tape.agent
async def clerk(run: tape.Run, tool: str) -> str:
    choice = await run.decide(choose, tool)
    try:
        await run.call(choice["tool"], **choice["args"])
        outcome = "done"
    except tape.EffectFailed:
        outcome = "not done"
    return await run.decide(report, outcome)
