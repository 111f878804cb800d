"""Ends the process that loads it."""

import os

import tape

os._exit(3)


@tape.agent
async def agent(run: tape.Run, amount: int) -> str:
    return "never"
