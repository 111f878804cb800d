"""Two agents under the same cap: one whose mark says what an ask costs at most, and one whose mark says less."""

from web import post

import tape

CAPS = tape.Budget(tokens=1_000, usd=0.10, calls={"wire": 1})


@tape.tool(semantics="idempotent")
def wire(amount: int) -> str:
    return post("BANK", "wires", {"amount": amount}, tape.idempotency_key())["id"]


@tape.model(max_tokens=250, max_usd=0.02)
def sober(question: str) -> str:
    tape.report_usage(tokens_in=150, tokens_out=60, usd=0.002)
    return question


@tape.model(max_tokens=100, max_usd=0.02)
def chatty(question: str) -> str:
    tape.report_usage(tokens_in=150, tokens_out=60, usd=0.002)
    return question


async def spend(run: tape.Run, model: object, amount: int) -> str:
    await run.decide(model, "how much?")
    paid = await wire(amount)
    await run.decide(model, "what now?")
    return paid


@tape.agent(budget=CAPS)
async def honest(run: tape.Run, amount: int) -> str:
    return await spend(run, sober, amount)


@tape.agent(budget=CAPS)
async def boastful(run: tape.Run, amount: int) -> str:
    return await spend(run, chatty, amount)


@tape.agent(budget=tape.Budget(tokens=300, calls={"wire": 0}, on_exceeded="gate"))
async def patient(run: tape.Run, amount: int) -> str:
    """The wire and the second question wait for a person."""
    return await spend(run, sober, amount)
