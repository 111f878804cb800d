"""The agent of the first tutorial: a plan, one wire, a report. Its bank ignores keys but can be asked."""

from web import act, acts_of

import tape


@tape.tool(semantics="non_idempotent", authoritative=True, settle_delay=0.05)
def wire_money(to: str, amount_minor: int) -> dict:
    return act("BANK", "wires", {"to": to, "amount_minor": amount_minor}, tape.idempotency_key())


@wire_money.observe
def find_wire(effect: tape.Effect) -> tape.Observation:
    try:
        wires = acts_of("BANK", "wires", effect.key)
    except OSError as error:
        return tape.unclear(f"the bank does not answer: {error}")
    if len(wires) > 1:
        return tape.duplicate(wires)
    return tape.present(wires[0]) if wires else tape.absent()


SCRIPT = [
    {"say": "First wire what the invoice asks for, then report."},
    {"say": "Wiring 125.00 to ACME.", "call": {"to": "ACME", "amount_minor": 125_00}},
    {"say": "The invoice is paid."},
]


def ask_model(talk: list[dict]) -> dict:
    return SCRIPT[sum("say" in line for line in talk)]


@tape.agent
async def treasury(run: tape.Run, task: str) -> str:
    talk = [{"task": task}]
    plan = await run.decide(ask_model, talk)  # decision 0
    talk.append(plan)
    order = await run.decide(ask_model, talk)  # decision 1
    wire = await wire_money(**order["call"])
    talk += [order, {"result": wire}]
    report = await run.decide(ask_model, talk)  # decision 2
    return report["say"]
