"""Requests to the stand-ins, as an agent's author writes them. Lies beside the modules of each project."""

import json
import os
from urllib.parse import quote
from urllib.request import ProxyHandler, Request, build_opener

http = build_opener(ProxyHandler({}))  # the stand-ins run on this machine: no proxy in between


def send(method: str, upstream: str, path: str, body: dict | None = None, key: str = ""):
    """Sends one request and returns the JSON of the answer."""
    headers = {"Content-Type": "application/json"} | ({"Idempotency-Key": key} if key else {})
    data = None if body is None else json.dumps(body).encode()
    request = Request(os.environ[f"TAPE_UPSTREAM_{upstream}"] + path, data, headers, method=method)
    with http.open(request, timeout=10) as answer:
        return json.load(answer)


def post(upstream: str, collection: str, body: dict, key: str = "") -> dict:
    """Acts."""
    return send("POST", upstream, f"/{collection}", body, key)


def acts_of(upstream: str, collection: str, key: str) -> list[dict]:
    """What stands there under this key, and is not undone."""
    return [act for act in send("GET", upstream, f"/{collection}?key={quote(key, safe='')}") if not act["undone"]]
