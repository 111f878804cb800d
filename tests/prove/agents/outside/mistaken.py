"""Acts that no declaration covers: in the agent's own code, in a tool that only reads, in an undo that forgets to."""

import time

from web import acts_of, post

import tape


@tape.tool(semantics="read_only")
def peek(seat: str) -> str:
    post("RAIL", "holds", {"seat": seat}, tape.idempotency_key())
    return "free"


@tape.tool(semantics="non_idempotent", authoritative=True)
def book(seat: str) -> dict:
    return {"id": post("RAIL", "tickets", {"seat": seat}, tape.idempotency_key())["id"], "at": time.time()}


@book.observe
def find_ticket(effect: tape.Effect) -> tape.Observation:
    found = acts_of("RAIL", "tickets", effect.key)
    return tape.present({"id": found[0]["id"]}) if found else tape.absent()  # without the time that the body returns


@tape.agent
async def hasty(run: tape.Run, task: str) -> str:
    post("RAIL", "mails", {"text": task})  # no tool: done again by each drive
    await peek(task)
    return (await book(task))["id"]


@tape.tool(semantics="non_idempotent", authoritative=True)
def hire(name: str) -> str:
    return post("RAIL", "cars", {"name": name}, tape.idempotency_key())["id"]


@hire.observe
def find_car(effect: tape.Effect) -> tape.Observation:
    found = acts_of("RAIL", "cars", effect.key)
    return tape.present(found[0]["id"]) if found else tape.absent()


@hire.compensate(semantics="idempotent")
def give_back(effect: tape.Effect) -> None:
    """Forgets to."""


@tape.agent
async def forgetful(run: tape.Run, task: str) -> str:
    await hire(task)
    await run.decide(lambda: "no")
    raise tape.Rejected("the trip is off")
