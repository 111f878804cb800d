"""Effects that the outbox dispatches, in a worker of its own."""

from web import acts_of, post

import tape


@tape.tool(semantics="idempotent", dispatch="outbox")
def mail(to: str) -> str:
    post("MINT", "mails", {"to": to}, tape.idempotency_key())
    return to


@tape.tool(semantics="non_idempotent", authoritative=True, dispatch="outbox")
def letter(to: str) -> str:
    post("BANK", "letters", {"to": to}, tape.idempotency_key())
    return to


@letter.observe
def find_letter(effect: tape.Effect) -> tape.Observation:
    return tape.present(effect.args["to"]) if acts_of("BANK", "letters", effect.key) else tape.absent()


@tape.agent
async def post_office(run: tape.Run, amount: int) -> list[str]:
    return [await mail("ada"), await letter("berta")]
