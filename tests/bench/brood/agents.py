"""A parent that starts so many children at once and waits for all of them."""

import asyncio

import tape


@tape.agent
async def little(run: tape.Run, number: int) -> int:
    return number


@tape.agent
async def mother(run: tape.Run, count: int) -> int:
    return sum(await asyncio.gather(*[run.start(little, number) for number in range(count)]))
