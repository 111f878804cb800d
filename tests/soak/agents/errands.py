"""The crew, and tools whose acting is done by a child process: what is left when only the child is killed."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import crew
from crew import script as script

import tape

CHILD = """\
import http.client, sys
host, port, path, key, body = sys.argv[1:]
link = http.client.HTTPConnection(host, int(port), timeout=15)
link.request("POST", path, body, {"Content-Type": "application/json", "Idempotency-Key": key})
answer = link.getresponse()
answer.read()
sys.exit(0 if answer.status < 400 else 1)
"""


def send_child(upstream: str, collection: str, n: int) -> dict[str, Any]:
    effect = tape.current_effect()
    address = crew.urlsplit(crew.os.environ[upstream])
    with crew.inside(effect):
        tape.crash_point("before-act")
        where = [str(address.hostname), str(address.port), f"/{collection}", effect.key, f'{{"n": {n}}}']
        ended = subprocess.run([sys.executable, "-I", "-S", "-c", CHILD, *where], check=False, capture_output=True)
        if ended.returncode != 0:
            raise OSError(f"the child ended with {ended.returncode}: whether it has acted, who knows")
        tape.crash_point("after-act")
    return crew.receipt(collection, n, effect.key, "")


@tape.tool(semantics="idempotent", retries=2)
def errand(n: int) -> dict[str, Any]:
    return send_child(crew.MINT, "errand", n)


@tape.tool(semantics="non_idempotent", **crew.AUTHORITATIVE)
def courier(n: int) -> dict[str, Any]:
    return send_child(crew.BANK, "courier", n)


@courier.observe
def find(effect: tape.Effect) -> tape.Observation:
    try:
        acts = crew.acts_of(crew.BANK, "courier", effect.key)
    except OSError as error:
        return tape.unclear(str(error))
    found = [crew.receipt("courier", act["body"]["n"], effect.key, "") for act in acts]
    if len(found) > 1:
        return tape.duplicate(found)
    return tape.present(found[0]) if found else tape.absent()
