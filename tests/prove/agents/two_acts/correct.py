"""A tool per act; or both with keys of their own, made from the effect's, at an upstream that honours them."""

from web import acts_of, post

import tape


@tape.tool(semantics="non_idempotent", authoritative=True)
def pay(amount: int) -> str:
    post("BANK", "wires", {"amount": amount}, tape.idempotency_key())
    return "paid"


@pay.observe
def find_wire(effect: tape.Effect) -> tape.Observation:
    return tape.present("paid") if acts_of("BANK", "wires", effect.key) else tape.absent()


@tape.tool(semantics="idempotent")
def order_with_fee(amount: int) -> str:
    key = tape.idempotency_key()
    post("MINT", "coins", {"amount": amount}, key)
    post("MINT", "fees", {"amount": 1}, key + "/fee")
    return "ordered"


@tape.tool(semantics="idempotent")
def mail(to: str) -> str:
    post("MINT", "mails", {"to": to}, tape.idempotency_key())
    return "mailed"


@tape.agent
async def orderly(run: tape.Run, amount: int) -> str:
    await pay(amount)
    await order_with_fee(amount)
    await mail("buyer")
    return await mail("seller")
