"""An agent that does with a card and a token all that one should not: it prints them, raises them, returns them.

The card comes from where the journal does not look (a vault: here a variable), the tokens are secrets. `{redact}` is
what the tools redact: nothing, in the control.
"""

from __future__ import annotations

from pathlib import Path

SETTINGS = """\
name: cards
agent: shop:shop
journal: sqlite:///.tape/cards.db
lease: {ttl: 2s, heartbeat: 300ms, stall: 20s}
recovery: {max_crashes: 5, backoff: 20ms..200ms, asks: 4, ask_backoff: 10ms..50ms}
"""

AGENT = """
import json
import logging
import os
import sys
import traceback
from urllib.parse import quote
from urllib.request import Request, urlopen

import tape

log = logging.getLogger("shop")
log.addHandler(logging.StreamHandler())


def bank(method, path, body=None, key=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"} | ({"Idempotency-Key": key} if key else {})
    request = Request(os.environ["TAPE_UPSTREAM_BANK"] + path, data, headers, method=method)
    with urlopen(request, timeout=10) as answer:
        return json.load(answer)


@tape.tool(semantics="read_only", redact=REDACT)
def check(card: str, token: str) -> bool:
    print("checking", card, "with", token)
    try:
        raise KeyError(card)
    except KeyError as error:
        raise ValueError(f"{card!r} does not go with {token}") from error


@tape.tool(semantics="non_idempotent", authoritative=True, settle_delay=0.05, redact=REDACT)
def charge(card: str, token: str, cents: int, more: dict) -> dict:
    print(f"charging {card} with {token}, {tape.current_effect().args}", file=sys.stderr)
    log.warning("charging %s with %s", card, more["token"])
    act = bank("POST", "/charges", {"card": card, "token": token, "cents": cents}, tape.idempotency_key())
    tape.crash_point("charged")
    return {"id": act["id"], "card": card, "says": f"charged {card} with {token}"}


@charge.observe
def find(effect: tape.Effect) -> tape.Observation:
    token = effect.args["token"].value() if isinstance(effect.args["token"], tape.Secret) else effect.args["token"]
    print("looking for", effect.args, "with", token)
    acts = [act for act in bank("GET", f"/charges?key={quote(effect.key, safe='')}") if not act["undone"]]
    if not acts:
        return tape.absent()
    card = acts[0]["body"]["card"]
    print("found a card")
    return tape.present({"id": acts[0]["id"], "card": card, "says": f"found with {token}"})


@charge.compensate(semantics="idempotent")
def refund(effect: tape.Effect) -> None:
    token = effect.args["token"].value() if isinstance(effect.args["token"], tape.Secret) else effect.args["token"]
    print("refunding with", token, effect.args)
    if effect.attempt == 1:
        raise OSError(f"the bank does not know {token}")
    for act in bank("GET", f"/charges?key={quote(effect.key, safe='')}"):
        if not act["undone"]:
            bank("DELETE", f"/charges/{act['id']}")


def ask(task: str, key: str) -> str:
    print("asking with", key)
    return f"asked with {key}: {task}"


@tape.agent
async def shop(run: tape.Run, task: str) -> dict:
    card = os.environ["VAULT_CARD"]
    token = THE_TOKEN
    await run.decide(ask, task, THE_TOKEN)
    try:
        await check(card, token)
    except tape.EffectFailed as error:
        print("as it should:", error)
    receipt = await charge(card, token, cents=700, more={"token": token, "list": [1, token]})
    if task == "fail":
        raise RuntimeError(f"{card} was not in stock")
    return {**receipt, "again": card}
"""


def write_project(root: Path, *, hides: bool) -> Path:
    """Writes the project; without `hides` it neither redacts nor uses secrets."""
    root.mkdir()
    (root / "tape.yaml").write_text(SETTINGS)
    token = 'tape.secret("BANK_TOKEN")' if hides else 'os.environ["BANK_TOKEN"]'
    redact = '("card",)' if hides else "()"
    (root / "shop.py").write_text(AGENT.replace("REDACT", redact).replace("THE_TOKEN", token))
    return root
