"""Agents whose own code says something else each time it is called: after a crash it is called again."""

import random
import time
from pathlib import Path

from web import post

import tape


@tape.tool(semantics="idempotent")
def note(text: str) -> str:
    post("MINT", "notes", {"text": text}, tape.idempotency_key())
    return "noted"


@tape.tool(semantics="idempotent")
def stamp(at: float) -> str:
    post("MINT", "stamps", {"at": at}, tape.idempotency_key())
    return "stamped"


@tape.agent
async def by_clock(run: tape.Run, amount: int) -> str:
    """The time of the call, in an argument."""
    return await stamp(time.time())


@tape.agent
async def by_dice(run: tape.Run, amount: int) -> str:
    """Chance, in the path that is taken."""
    for _ in range(random.randint(1, 3)):
        await stamp(1.0)
    return await note("done")


@tape.agent
async def by_set(run: tape.Run, amount: int) -> str:
    """The order of a set of texts: another one in each process."""
    names = {"ada", "berta", "carla", "dora", "emma", "frida"}
    return await note(", ".join(names))


@tape.agent
async def by_file(run: tape.Run, amount: int) -> str:
    """What an earlier call has left on the disk."""
    seen = Path(__file__).with_name(f"seen-{run.id}")
    greeting = "welcome back" if seen.exists() else "welcome"
    seen.touch()
    return await note(greeting)


met: list[str] = []


@tape.agent
async def by_memory(run: tape.Run, amount: int) -> str:
    """What the process remembers: after a pause it is still the same process, after a crash another one."""
    met.append(run.id)
    await run.sleep(3600)
    return await note(f"call {len(met)}")
