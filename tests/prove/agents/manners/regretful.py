"""A run that fails after it has acted: what it did is undone."""

from web import acts_of, post, send

import tape


@tape.tool(semantics="non_idempotent", authoritative=True)
def reserve(seat: int) -> dict:
    return {"id": post("BANK", "seats", {"seat": seat}, tape.idempotency_key())["id"]}


@reserve.observe
def find_seat(effect: tape.Effect) -> tape.Observation:
    found = acts_of("BANK", "seats", effect.key)
    return tape.present({"id": found[0]["id"]}) if found else tape.absent()


@reserve.compensate(semantics="idempotent")
def release(effect: tape.Effect) -> None:
    send("DELETE", "BANK", f"/seats/{effect.act['id']}", key=effect.key)


@tape.tool(semantics="idempotent")
def announce(seat: int) -> str:
    post("MINT", "news", {"seat": seat}, tape.idempotency_key())
    return "announced"


@tape.agent
async def regretful(run: tape.Run, amount: int) -> str:
    await reserve(1)
    await announce(1)
    raise ValueError("nobody came")
