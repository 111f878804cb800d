"""The same wishes, taken from the tape."""

import os

from web import post

import tape


@tape.tool(semantics="idempotent")
def note_it(text: str) -> str:
    post("MINT", "notes", {"text": text}, tape.idempotency_key())
    return "noted"


@tape.agent
async def by_tape(run: tape.Run, amount: int) -> str:
    at = await run.now()
    names = sorted({"ada", "berta", "carla"})
    home = await run.sample(lambda: os.environ.get("LANG", ""))
    if await run.random() < 0.5:
        names.reverse()
    return await note_it(f"{at} {names} {home} {await run.uuid()}")
