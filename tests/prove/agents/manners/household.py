"""A run that comes past every crash point: a model, a gate, a pause, a child, the outbox, an act that is undone."""

from web import acts_of, post, send

import tape


def plan(amount: int) -> int:
    return amount


@tape.tool(semantics="non_idempotent", authoritative=True)
def rent(amount: int) -> dict:
    return {"id": post("BANK", "rents", {"amount": amount}, tape.idempotency_key())["id"]}


@rent.observe
def find_rent(effect: tape.Effect) -> tape.Observation:
    found = acts_of("BANK", "rents", effect.key)
    return tape.present({"id": found[0]["id"]}) if found else tape.absent()


@rent.compensate(semantics="idempotent")
def give_back(effect: tape.Effect) -> None:
    send("DELETE", "BANK", f"/rents/{effect.act['id']}", key=effect.key)


@tape.tool(semantics="idempotent", dispatch="outbox")
def thank(to: str) -> str:
    post("MINT", "thanks", {"to": to}, tape.idempotency_key())
    return to


@tape.agent
async def errand(run: tape.Run, amount: int) -> int:
    return amount + 1


@tape.agent
async def household(run: tape.Run, amount: int) -> str:
    amount = await run.decide(plan, amount)
    await run.gate("go", prompt="rent it?")
    await run.sleep(3600)
    amount = await run.start(errand, amount)
    await rent(amount)
    await thank("ada")
    raise ValueError("nobody came")
