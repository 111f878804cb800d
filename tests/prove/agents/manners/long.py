"""Twenty decisions, ten effects."""

from web import post

import tape


def think(talk: list[str]) -> str:
    tape.report_usage(tokens_in=10, tokens_out=5, usd=0.001)
    return f"thought {len(talk)}"


@tape.tool(semantics="idempotent")
async def write(line: str) -> str:
    post("MINT", "lines", {"line": line}, tape.idempotency_key())
    return line


@tape.agent
async def long(run: tape.Run, turns: int) -> int:
    talk: list[str] = []
    for turn in range(turns):
        talk.append(await run.decide(think, talk))
        if turn % 2:
            talk.append(await write(talk[-1]))
    return len(talk)
