"""Two agents that ask a person: one that goes on without an answer, one that does something else than was approved."""

from clerk import charge_card, wire

import tape

DAY = 24 * 3600


def think(what: str) -> str:
    return what


@tape.agent
async def patient(run: tape.Run, task: str) -> str:
    """Asks whether to pay at once, and waits for a day at most."""
    await run.decide(think, "ask first")
    answer = await run.gate("pay", f"Pay at once: {task}?", ("now", "later"), timeout=DAY, on_timeout="later")
    if answer == "now":
        await charge_card(task)
    return f"{task}: {answer}"


@tape.agent
async def careless(run: tape.Run, task: str) -> str:
    """Shows one call for approval and makes another one: it is not begun. Then it makes the one that was approved."""
    approved = await run.decide(think, f"{task}, 125.00")
    if await run.gate("pay", "May this be paid?", approves=wire.bind(approved)) != "approve":
        return "denied"
    changed = await run.decide(think, f"{task}, 1250.00")
    try:
        await wire(changed)
    except tape.NotApproved:
        await wire(approved)
        return "only what was approved"
    return "anything goes"
