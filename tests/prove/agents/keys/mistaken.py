"""Tools that are declared idempotent, and are not: the one sends no key, the other one that nobody looks at."""

from web import post

import tape


@tape.tool(semantics="idempotent")
def order_coins(amount: int) -> dict:
    return {"id": post("MINT", "coins", {"amount": amount})["id"]}


@tape.tool(semantics="idempotent")
def pay(amount: int) -> dict:
    return {"id": post("BANK", "wires", {"amount": amount}, tape.idempotency_key())["id"]}


@tape.agent
async def careless(run: tape.Run, amount: int) -> list[str]:
    coins = await order_coins(amount)
    wire = await pay(amount)
    return [coins["id"], wire["id"]]
