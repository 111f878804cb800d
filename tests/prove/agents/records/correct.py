"""The same as plain data; what JSON can hold under another name (sets, dates, dataclasses, text as bytes) is plain."""

from dataclasses import dataclass
from datetime import date

from web import post

import tape


@dataclass
class Receipt:
    number: str
    day: date


@tape.tool(semantics="idempotent")
def give_receipt() -> Receipt:
    return Receipt(post("MINT", "objects", {}, tape.idempotency_key())["id"], date(2026, 1, 2))


@tape.tool(semantics="idempotent")
def give_set() -> set[str]:
    post("MINT", "sets", {}, tape.idempotency_key())
    return {"ada", "berta", "carla", "dora", "emma", "frida"}


@tape.tool(semantics="idempotent")
def give_text() -> bytes:
    return post("MINT", "bytes", {}, tape.idempotency_key())["id"].encode()


@tape.tool(semantics="idempotent")
def give_nothing() -> float | None:
    post("MINT", "numbers", {}, tape.idempotency_key())
    return None


@tape.agent
async def plain(run: tape.Run, amount: int) -> list[str]:
    receipt = await give_receipt()
    names = await give_set()
    text = await give_text()
    nothing = await give_nothing()
    return [receipt.number, str(receipt.day.year), *sorted(names), text.decode(), str(nothing)]
