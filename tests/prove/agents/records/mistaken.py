"""Tools that act, and return what no tape can hold."""

from web import post

import tape


class Receipt:
    def __init__(self, number: str) -> None:
        self.number = number


@tape.tool(semantics="idempotent")
def give_object() -> object:
    return Receipt(post("MINT", "objects", {}, tape.idempotency_key())["id"])


@tape.tool(semantics="idempotent")
def give_bytes() -> bytes:
    return b"\xff\xfe" + post("MINT", "bytes", {}, tape.idempotency_key())["id"].encode()


@tape.tool(semantics="idempotent")
def give_nan() -> float:
    post("MINT", "numbers", {}, tape.idempotency_key())
    return float("nan")


@tape.tool(semantics="idempotent")
def give_much() -> str:
    post("MINT", "books", {}, tape.idempotency_key())
    return "x" * (1 << 20)


@tape.agent
async def loose(run: tape.Run, amount: int) -> list[str]:
    failed = []
    for tool in (give_object, give_bytes, give_nan, give_much):
        try:
            await tool()
        except tape.ResultUnrecordable:
            failed.append(tool.name)
    return failed
