"""Tools that are handed to the outbox: a reactor sends them, one at a time, in a process that drives no run."""

from clerk import choose, look_up, report
from web import act, acts_of, send, undo

import tape


@tape.tool(semantics="read_only", dispatch="outbox")
def mail_prices(what: str) -> int:
    return len(send("GET", "SHOP", "/prices"))


@tape.tool(semantics="idempotent", dispatch="outbox")
def mail_order(what: str) -> dict:
    return act("SHOP", "orders", {"what": what}, tape.idempotency_key())


@tape.tool(semantics="idempotent", dispatch="outbox")
def mail_parcel(what: str) -> dict:
    return act("SHOP", "parcels", {"what": what}, tape.idempotency_key())


@mail_parcel.observe
def find_parcel(effect: tape.Effect) -> tape.Observation:
    return look_up("SHOP", "parcels", effect)


@tape.tool(semantics="non_idempotent", dispatch="outbox", authoritative=True, settle_delay=0.05)
def mail_money(what: str) -> dict:
    return act("BANK", "transfers", {"what": what}, tape.idempotency_key())


@mail_money.observe
def find_transfer(effect: tape.Effect) -> tape.Observation:
    return look_up("BANK", "transfers", effect)


@tape.tool(semantics="non_idempotent", dispatch="outbox", authoritative=True, settle_delay=0.05)
def mail_twice(what: str) -> dict:
    """A mistake: two transfers in one call."""
    act("BANK", "transfers", {"what": what}, tape.idempotency_key())
    return act("BANK", "transfers", {"what": what}, tape.idempotency_key())


@mail_twice.observe
def find_both_transfers(effect: tape.Effect) -> tape.Observation:
    return look_up("BANK", "transfers", effect)


@mail_twice.compensate(semantics="idempotent")
def recall(effect: tape.Effect) -> None:
    for transfer in [effect.act] if effect.act else acts_of("BANK", "transfers", effect.key):
        undo("BANK", "transfers", transfer["id"], tape.idempotency_key())


@tape.tool(semantics="non_idempotent", dispatch="outbox")
def mail_letter(what: str) -> dict:
    return act("BANK", "letters", {"what": what}, tape.idempotency_key())


@tape.tool(semantics="non_idempotent", dispatch="outbox", on_unknown="compensate")
def mail_invitation(what: str) -> dict:
    return act("BANK", "invitations", {"what": what}, tape.idempotency_key())


@mail_invitation.compensate(semantics="idempotent")
def disinvite(effect: tape.Effect) -> None:
    for sent in acts_of("BANK", "invitations", effect.key):
        undo("BANK", "invitations", sent["id"], tape.idempotency_key())


@tape.agent
async def sender(run: tape.Run, tool: str) -> str:
    choice = await run.decide(choose, tool)
    try:
        await run.call(choice["tool"], **choice["args"])
        outcome = "done"
    except tape.EffectFailed:
        outcome = "not done"
    return await run.decide(report, outcome)


# --- handed over, and not waited for ---------------------------------------------------------------------------------

POST = {tool.name: tool for tool in (mail_order, mail_parcel, mail_money, mail_letter)}


@tape.agent
async def poster(run: tape.Run, tools: list[str]) -> str:
    """Hands one piece of mail to each of these tools, waits for none of them, and is done."""
    for name in tools:
        await POST[name].enqueue("invoice 7")
    return await run.decide(report, "handed over")


@tape.agent
async def sleepy_poster(run: tape.Run, tools: list[str]) -> None:
    """The same, and then it sleeps for a day."""
    for name in tools:
        await POST[name].enqueue("invoice 7")
    await run.sleep(86_400)
