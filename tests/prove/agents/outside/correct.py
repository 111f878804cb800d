"""The same with a tool for each act."""

from web import acts_of, post

import tape


@tape.tool(semantics="non_idempotent", authoritative=True)
def mail(text: str) -> str:
    return post("RAIL", "mails", {"text": text}, tape.idempotency_key())["id"]


@mail.observe
def find_mail(effect: tape.Effect) -> tape.Observation:
    found = acts_of("RAIL", "mails", effect.key)
    return tape.present(found[0]["id"]) if found else tape.absent()


@tape.agent
async def tidy(run: tape.Run, task: str) -> str:
    return await mail(task)
