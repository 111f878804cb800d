"""What happened nobody can look up: a person says it, or it is undone."""

from web import acts_of, post, send

import tape


@tape.tool(semantics="non_idempotent")
def shout(words: str) -> str:
    post("BANK", "shouts", {"words": words}, tape.idempotency_key())
    return words


@tape.agent
async def asking(run: tape.Run, amount: int) -> str:
    return await shout("hey")


@tape.tool(semantics="non_idempotent", on_unknown="compensate")
def hang_up_sign(words: str) -> str:
    post("BANK", "signs", {"words": words}, tape.idempotency_key())
    return words


@hang_up_sign.compensate(semantics="idempotent")
def take_down_sign(effect: tape.Effect) -> None:
    for sign in acts_of("BANK", "signs", effect.key.partition("/undo/")[0]):
        send("DELETE", "BANK", f"/signs/{sign['id']}")


@tape.agent
async def undoing(run: tape.Run, amount: int) -> str:
    try:
        return await hang_up_sign("open")
    except tape.EffectFailed:
        return "no sign"
