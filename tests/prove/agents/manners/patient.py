"""Pauses of hours, values from the tape, a crash point of its own, a tool that tells what it costs."""

import random

from web import post

import tape


@tape.tool(semantics="idempotent")
def remind(text: str) -> str:
    tape.crash_point("before-reminder")
    post("MINT", "reminders", {"text": text}, tape.idempotency_key())
    tape.report_usage(usd=0.01)
    return "reminded"


@tape.agent
async def patient(run: tape.Run, amount: int) -> str:
    since = await run.now()
    await run.sleep(8 * 3600)
    luck = await run.sample(lambda: random.randint(1, 1_000_000))
    name = await run.uuid()
    if await run.random() < 0.5:
        name = name.upper()
    await remind(f"{since:%H:%M} {luck} {name}")
    return name
