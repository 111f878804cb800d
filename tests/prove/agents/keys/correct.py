"""The same acts: the mint is sent the key that it honours, the bank is asked whether it has acted."""

from web import acts_of, post

import tape


@tape.tool(semantics="idempotent")
def order_coins_once(amount: int) -> dict:
    return {"id": post("MINT", "coins", {"amount": amount}, tape.idempotency_key())["id"]}


@tape.tool(semantics="non_idempotent", authoritative=True)
def pay_once(amount: int) -> dict:
    return {"id": post("BANK", "wires", {"amount": amount}, tape.idempotency_key())["id"]}


@pay_once.observe
def find_wire(effect: tape.Effect) -> tape.Observation:
    wires = [{"id": act["id"]} for act in acts_of("BANK", "wires", effect.key)]
    if len(wires) > 1:
        return tape.duplicate(wires)
    return tape.present(wires[0]) if wires else tape.absent()


@tape.agent
async def careful(run: tape.Run, amount: int) -> list[str]:
    coins = await order_coins_once(amount)
    wire = await pay_once(amount)
    return [coins["id"], wire["id"]]
