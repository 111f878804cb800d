"""Agents with a budget: they buy until a cap is in the way, and report what they got. `asking` asks a person first."""

from web import act, acts_of

import tape


@tape.tool(semantics="non_idempotent", authoritative=True, settle_delay=0.05, cost=0.02)
def buy(item: str) -> dict:
    return act("BANK", "purchases", {"item": item}, tape.idempotency_key())


@buy.observe
def find_purchase(effect: tape.Effect) -> tape.Observation:
    try:
        found = acts_of("BANK", "purchases", effect.key)
    except OSError as error:
        return tape.unclear(f"the bank does not answer: {error}")
    if len(found) > 1:
        return tape.duplicate(found)
    return tape.present(found[0]) if found else tape.absent()


@tape.model(max_tokens=200, max_usd=0.01)
def choose(bought: list[str]) -> str:
    tape.report_usage(tokens_in=80, tokens_out=20, usd=0.005)
    return f"item {len(bought)}"


@tape.agent(budget=tape.Budget(usd=0.06, calls={"buy": 5}))
async def thrifty(run: tape.Run, wanted: int) -> str:
    """Each round costs 0.005 for the model and 0.02 for the purchase."""
    bought: list[str] = []
    while len(bought) < wanted:
        try:
            item = await run.decide(choose, bought)
            await buy(item)
        except tape.BudgetExceeded:
            return f"{len(bought)} bought, and no more: {run.budget.usd_left} left"
        bought.append(item)
    return f"{len(bought)} bought"


@tape.agent(budget=tape.Budget(usd=0.06, calls={"buy": 5}, on_exceeded="gate"))
async def asking(run: tape.Run, wanted: int) -> str:
    """The same, but where a cap is in the way it waits until somebody raises it, or will not."""
    return await thrifty.function(run, wanted)
