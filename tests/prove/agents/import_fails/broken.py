"""Cannot be loaded."""

import tape

LIMIT = int("many")


@tape.agent
async def agent(run: tape.Run, amount: int) -> str:
    return "never"
