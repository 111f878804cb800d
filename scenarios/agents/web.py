"""Requests to the stand-ins of tape.yaml; any HTTP client does."""

import json
import os
from urllib.parse import quote
from urllib.request import ProxyHandler, Request, build_opener

http = build_opener(ProxyHandler({}))  # the stand-ins run on this machine: no proxy in between


def send(method: str, service: str, path: str, body: dict | None = None, key: str = ""):
    """Sends one request and returns the JSON of the answer. Raises OSError for anything but success."""
    headers = {"Content-Type": "application/json"} | ({"Idempotency-Key": key} if key else {})
    data = None if body is None else json.dumps(body).encode()
    request = Request(os.environ[f"TAPE_UPSTREAM_{service}"] + path, data, headers, method=method)
    with http.open(request, timeout=10) as answer:
        return json.load(answer)


def act(service: str, collection: str, body: dict, key: str) -> dict:
    """Does something that cannot be taken for not done, and returns what the agent gets to see of it."""
    return receipt(send("POST", service, f"/{collection}", body, key))


def acts_of(service: str, collection: str, key: str) -> list[dict]:
    """What stands there under this key, and was not undone."""
    acts = send("GET", service, f"/{collection}?key={quote(key, safe='')}")
    return [receipt(act) for act in acts if not act["undone"]]


def undo(service: str, collection: str, act_id: str, key: str) -> None:
    send("DELETE", service, f"/{collection}/{act_id}", key=key)


def receipt(act: dict) -> dict:
    """The same, whether it was just done or found by a look-up."""
    return {"id": act["id"], **act["body"]}
