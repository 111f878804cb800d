"""An agent that passes forty crash points: seven decisions, five effects, one point of its own."""

from __future__ import annotations

import json
import os
from typing import Any
from urllib.parse import quote
from urllib.request import ProxyHandler, Request, build_opener

import tape

http = build_opener(ProxyHandler({}))


def ask(upstream: str, method: str, path: str, body: Any = None, key: str = "") -> Any:
    headers = {"Content-Type": "application/json"} | ({"Idempotency-Key": key} if key else {})
    data = None if body is None else json.dumps(body).encode()
    request = Request(os.environ[f"TAPE_UPSTREAM_{upstream}"] + path, data, headers, method=method)
    with http.open(request, timeout=10) as answer:
        return json.load(answer)


@tape.tool(semantics="non_idempotent", authoritative=True)
def wire(to: str) -> dict:
    return {"wire": ask("BANK", "POST", "/wires", {"to": to}, tape.idempotency_key())["id"]}


@wire.observe
def find_wire(effect: tape.Effect) -> tape.Observation:
    acts = ask("BANK", "GET", f"/wires?key={quote(effect.key, safe='')}")
    return tape.present({"wire": acts[0]["id"]}) if acts else tape.absent()


@tape.tool(semantics="idempotent")
def order(what: str) -> dict:
    return {"order": ask("SHOP", "POST", "/orders", {"what": what}, tape.idempotency_key())["id"]}


def think(turn: int) -> str:
    return f"turn {turn}"


@tape.agent
async def forty(run: tape.Run, task: str) -> list[str]:
    done: list[str] = []
    for turn in range(7):
        done.append(await run.decide(think, turn))
        if turn in (1, 4):
            done.append((await wire(to=f"supplier {turn}"))["wire"])
        elif turn in (0, 2, 5):
            done.append((await order(what=f"part {turn}"))["order"])
        elif turn == 3:
            tape.crash_point("half-way")
    return done
