"""What the stand-in does with a request: acts, look-ups, undos, keys, faults. The surface is told in `upstream.py`."""

from __future__ import annotations

import json
import os
import re
import threading
from dataclasses import asdict
from typing import Any

from tape.core.kernel.errors import UsageError
from tape.lab.upstream_http import Refusal, Request, Response
from tape.lab.upstream_ledger import Act, Intent, Ledger, read_events
from tape.lab.upstream_options import FaultKind, FaultPlan, Strike, UpstreamOptions, nearest, parse_faults

_COLLECTION = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_FILTERS = ("key", "business_key")


class StandIn:
    """The outside system itself. `answer` is called from many threads at once.

    `closing` ends its waits early when the process is asked to stop; a request that waits has not acted then.
    """

    def __init__(self, name: str, ledger: Ledger, options: UpstreamOptions, closing: threading.Event) -> None:
        self._name = name
        self._ledger = ledger
        self._options = options
        self._closing = closing
        self._plan = FaultPlan(options.faults, options.seed)
        self._keys = threading.Lock()
        self._in_flight: dict[str, str] = {}

    def answer(self, request: Request) -> Response | None:
        """One request's answer; None means to hang up. Raises Refusal."""
        match request.method, request.segments:
            case method, (control,) if control.startswith("_"):
                return self._control(method, control, request)
            case "POST", (collection,):
                return self._post(_named(collection), request)
            case "GET", (collection,):
                return self._list(_named(collection), request)
            case "GET", (collection, act_id):
                return self._get(_named(collection), act_id)
            case "DELETE", (collection, act_id):
                return self._delete(_named(collection), act_id, request)
            case method, (_,) | (_, _) if request.segments[0]:
                allowed = "GET, POST" if len(request.segments) == 1 else "GET, DELETE"
                raise Refusal(405, f"{method} is not done here; use {allowed}", {"Allow": allowed})
            case _:
                raise Refusal(404, "unknown path; use /{collection} or /{collection}/{id}")

    def _post(self, collection: str, request: Request) -> Response | None:
        headers = request.headers
        key = headers.get("idempotency-key")
        if key == "":
            raise Refusal(400, "Idempotency-Key is empty; send a key or leave the header out")
        body = _json(request.body)
        intent = Intent(collection, key, headers.get("x-business-key"), headers.get("x-fencing-token"), body)
        if key is None or not self._options.honours_key:
            return self._act(intent, self._plan.strike("POST", collection))
        earlier = self._reserve(key, intent)
        strike = self._plan.strike("POST", collection)
        if earlier is not None:
            self._wait(strike.slow_seconds)
            replayed = {"Idempotent-Replayed": "true"}
            return _failed_before(strike) or _ended(strike, Response(200, _document(earlier), replayed))
        try:
            return self._act(intent, strike)
        finally:
            with self._keys:
                del self._in_flight[key]

    def _reserve(self, key: str, intent: Intent) -> Act | None:
        """Take the key for an act of its own (None), or find the act it stands for. Raises Refusal 409 or 422."""
        fingerprint = _fingerprint(intent.collection, intent.body)
        with self._keys:
            earlier = self._ledger.first_with_key(key, lifetime_seconds=self._options.key_lifetime_seconds)
            known = _fingerprint(earlier.collection, earlier.body) if earlier else self._in_flight.get(key)
            if known not in (None, fingerprint):
                raise Refusal(422, f"Idempotency-Key {key!r} came with another request before; use a new key")
            if key in self._in_flight:
                raise Refusal(409, f"the first request with Idempotency-Key {key!r} is in flight; ask again later")
            if earlier is None:
                self._in_flight[key] = fingerprint
            return earlier

    def _act(self, intent: Intent, strike: Strike) -> Response | None:
        self._wait(strike.slow_seconds + self._options.latency_seconds)
        if failed := _failed_before(strike):
            return failed
        try:
            act = self._ledger.act(intent)
        except OSError as error:
            raise _unwritten(error) from error
        return _ended(strike, Response(201, _document(act)))

    def _list(self, collection: str, request: Request) -> Response | None:
        for name, _ in request.query:
            if name not in _FILTERS:
                raise Refusal(400, f"unknown filter {name!r}; {nearest(name, _FILTERS)}")
        strike, lag = self._look_up(collection)
        acts = [act for act in self._ledger.acts(lag_seconds=lag) if act.collection == collection]
        for name, value in request.query:
            acts = [act for act in acts if getattr(act, name) == value]
        return _failed_before(strike) or _ended(strike, Response(200, [_document(act) for act in acts]))

    def _get(self, collection: str, act_id: str) -> Response | None:
        strike, lag = self._look_up(collection)
        act = self._ledger.get(act_id, lag_seconds=lag)
        if failed := _failed_before(strike):
            return failed
        if act is None or act.collection != collection:
            return _ended(strike, _unknown(collection, act_id))
        return _ended(strike, Response(200, _document(act)))

    def _look_up(self, collection: str) -> tuple[Strike, float]:
        strike = self._plan.strike("GET", collection)
        self._wait(strike.slow_seconds)
        return strike, max(strike.lag_seconds, self._options.lookup_lag_seconds)

    def _delete(self, collection: str, act_id: str, request: Request) -> Response | None:
        strike = self._plan.strike("DELETE", collection)
        self._wait(strike.slow_seconds + self._options.latency_seconds)
        if failed := _failed_before(strike):
            return failed
        act = self._ledger.get(act_id)
        if act is None or act.collection != collection:
            return _ended(strike, _unknown(collection, act_id))
        headers = request.headers
        try:
            act = self._ledger.undo(act_id, headers.get("idempotency-key"), headers.get("x-fencing-token"))
        except OSError as error:
            raise _unwritten(error) from error
        return _ended(strike, Response(200, _document(act)))

    def _control(self, method: str, name: str, request: Request) -> Response:
        match method, name:
            case "GET", "_health":
                acts = len(self._ledger.acts())
                return Response(200, {"name": self._name, "pid": os.getpid(), "acts": acts})
            case "GET", "_ledger":
                return Response(200, read_events(self._ledger.path))
            case "GET", "_faults":
                return Response(200, self._plan.document())
            case "POST", "_faults":
                try:
                    faults = parse_faults(_json(request.body), "faults")
                except UsageError as error:
                    raise Refusal(400, str(error)) from error
                self._plan.replace(faults)
                return Response(200, self._plan.document())
            case _:
                raise Refusal(404, "unknown; GET /_health, /_ledger, /_faults and POST /_faults are the controls")

    def _wait(self, seconds: float) -> None:
        if seconds > 0 and self._closing.wait(seconds):
            raise Refusal(503, "the stand-in stops; nothing was done")


def _named(collection: str) -> str:
    if not collection:
        raise Refusal(404, "unknown path; use /{collection} or /{collection}/{id}")
    if not _COLLECTION.fullmatch(collection):
        raise Refusal(400, f"{collection!r} is no collection; use letters, digits, - and _, at most 64, a letter first")
    return collection


def _json(body: bytes) -> Any:
    """The body's value. What JSON cannot hold (NaN, numbers beyond a double, endless nesting) is refused as well."""
    try:
        value: Any = json.loads(body)
        json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError) as error:
        detail = str(error) if body else "it is empty"
        raise Refusal(400, f"the body is not JSON: {detail}") from error
    return value


def _fingerprint(collection: str, body: Any) -> str:
    return f"{collection} {json.dumps(body, sort_keys=True)}"


def _document(act: Act) -> dict[str, Any]:
    """The act as it is sent: its own fields first, then those of an object body that do not hide one of them."""
    own = asdict(act)
    return {**own, **{name: value for name, value in act.body.items() if name not in own}} if _is_object(act) else own


def _is_object(act: Act) -> bool:
    return isinstance(act.body, dict)


def _failed_before(strike: Strike) -> Response | None:
    fault = strike.ending
    if fault is None or fault.kind is not FaultKind.FAIL_BEFORE:
        return None
    return Response(fault.status, {"error": "a fault was asked for: failed before acting"})


def _ended(strike: Strike, response: Response) -> Response | None:
    """The proper answer, or what a fault that strikes after the act makes of it."""
    match strike.ending.kind if strike.ending else None, strike.ending:
        case FaultKind.LOSE_ANSWER, _:
            return None
        case FaultKind.FAIL_AFTER, fault if fault is not None:
            return Response(fault.status, {"error": "a fault was asked for: failed after acting"})
        case _:
            return response


def _unknown(collection: str, act_id: str) -> Response:
    return Response(404, {"error": f"no act {act_id!r} in {collection}"})


def _unwritten(error: OSError) -> Refusal:
    return Refusal(507, f"the ledger cannot be written ({error.strerror or error}); nothing was done")
