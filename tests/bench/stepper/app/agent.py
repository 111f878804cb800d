"""An agent that does nothing but take steps: one decision and one effect each, both of no cost of their own."""

import time

import tape


@tape.tool(semantics="non_idempotent")
async def wire_money(to: str, amount_minor: int) -> dict:
    return {"wire_id": f"wires-{amount_minor}", "to": to, "amount_minor": amount_minor}


async def ask_model(turn: int) -> dict:
    return {"say": "Wiring 125.00 to ACME.", "call": {"to": "ACME", "amount_minor": turn}}


@tape.agent
async def stepper(run: tape.Run, steps: int) -> list:
    """Returns what each step took, in nanoseconds."""
    took = []
    for turn in range(steps):
        begun = time.perf_counter_ns()
        order = await run.decide(ask_model, turn)
        await wire_money(**order["call"])
        took.append(time.perf_counter_ns() - begun)
    return took
