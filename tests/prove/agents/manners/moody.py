"""A model that answers otherwise each time, and so decides how much is done."""

import random

from web import post

import tape


def ask_model(task: str) -> list[str]:
    words = ["pens", "paper", "ink"]
    return random.sample(words, random.randint(1, len(words)))


@tape.tool(semantics="idempotent")
def order(item: str) -> str:
    post("MINT", "orders", {"item": item}, tape.idempotency_key())
    return item


@tape.agent
async def moody(run: tape.Run, amount: int) -> list[str]:
    return [await order(item) for item in await run.decide(ask_model, "what is missing?")]
