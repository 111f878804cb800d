"""Tools that do two things at once: whoever dies in between leaves half of it."""

from web import acts_of, post

import tape


@tape.tool(semantics="non_idempotent", authoritative=True)
def pay_with_fee(amount: int) -> str:
    key = tape.idempotency_key()
    post("BANK", "wires", {"amount": amount}, key)
    post("BANK", "fees", {"amount": 1}, key)
    return "paid"


@pay_with_fee.observe
def find_wire(effect: tape.Effect) -> tape.Observation:
    return tape.present("paid") if acts_of("BANK", "wires", effect.key) else tape.absent()


@tape.tool(semantics="idempotent")
def mail_both(amount: int) -> str:
    post("MINT", "mails", {"to": "buyer"})
    post("MINT", "mails", {"to": "seller"})
    return "mailed"


@tape.agent
async def hasty(run: tape.Run, amount: int) -> str:
    await pay_with_fee(amount)
    return await mail_both(amount)
