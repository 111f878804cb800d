"""The stand-in as its callers meet it: a real process, real sockets, a real file, real signals."""

from __future__ import annotations

import http.client
import json
import os
import re
import resource
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tape.core.kernel.errors import EnvironmentTrouble, UsageError
from tape.lab import upstream as upstream_module
from tape.lab.upstream import (
    Act,
    FaultKind,
    Upstream,
    UpstreamOptions,
    count_acts,
    environment_variable,
    parse_options,
    read_ledger,
    start_upstream,
)
from tape.lab.upstream_ledger import Ledger, read_events

DEADLINE_SECONDS = 20.0
FOR_EVER = "7d"  # a delay that a test never waits out: what it hides stays hidden, what it holds stays in flight


@dataclass(frozen=True)
class Answer:
    status: int
    document: Any
    headers: dict[str, str]


class Client:
    """One keep-alive connection to a stand-in."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._connection: http.client.HTTPConnection | None = None

    def __call__(self, method: str, path: str, body: Any = None, /, **headers: str) -> Answer:
        self.send(method, path, body, **headers)
        return self.receive()

    def send(self, method: str, path: str, body: Any = None, /, **headers: str) -> None:
        if self._connection is None:
            address = self._upstream.url.removeprefix("http://")
            self._connection = http.client.HTTPConnection(address, timeout=DEADLINE_SECONDS)
        names = {"key": "Idempotency-Key", "business_key": "X-Business-Key", "token": "X-Fencing-Token"}
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        try:
            self._connection.request(method, path, data, {names.get(n, n): value for n, value in headers.items()})
        except ConnectionError:
            self._connection = None
            raise

    def receive(self) -> Answer:
        assert self._connection is not None
        try:
            response = self._connection.getresponse()
            return Answer(response.status, json.loads(response.read()), dict(response.headers))
        except (ConnectionError, http.client.HTTPException):
            self._connection = None
            raise


Start = Callable[..., tuple[Upstream, Client]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start stand-ins whose options are written as in a file; all are stopped at the end."""
    started: list[Upstream] = []

    def start_one(**options: Any) -> tuple[Upstream, Client]:
        path = tmp_path / f"ledger-{len(started)}.jsonl"
        started.append(start_upstream("bank", path, parse_options(options, "test")))
        return started[-1], Client(started[-1])

    yield start_one
    for upstream in started:
        upstream.stop()


def until(look: Callable[[], Any]) -> Any:
    """Ask until there is an answer; each asking is a round trip to the process that is waited for."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        if (found := look()) is not None:
            return found
    raise AssertionError("nothing happened before the deadline")


def matched(upstream: Upstream) -> int:
    return Client(upstream)("GET", "/_faults").document[0]["matched"]


# --- acts, look-ups, undos -------------------------------------------------------------------------------------------


def test_an_act_is_answered_and_recorded(start: Start) -> None:
    bank, call = start()
    headers = {"key": "r-1/1/0/wire", "business_key": "invoice-7", "token": "3"}
    answer = call("POST", "/wires", {"amount": 5, "id": "mine", "undone": True}, **headers)
    assert answer.status == 201
    act = answer.document
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", act["at"])
    assert act == {
        "id": "wires-1",
        "collection": "wires",
        "key": "r-1/1/0/wire",
        "business_key": "invoice-7",
        "fencing_token": "3",
        "body": {"amount": 5, "id": "mine", "undone": True},
        "at": act["at"],
        "undone": False,
        "undone_at": None,
        "undo_key": None,
        "undo_fencing_token": None,
        "amount": 5,
    }
    line = {name: act[name] for name in ("id", "collection", "key", "business_key", "fencing_token", "body", "at")}
    assert bank.ledger_path.read_text() == json.dumps({"event": "act", **line, "undone": False}) + "\n"
    assert call("GET", "/_ledger").document == [{"event": "act", **line, "undone": False}]
    assert read_ledger(bank.ledger_path) == [Act(**line)]


def test_ids_count_per_collection_and_without_honoured_keys_every_request_acts(start: Start) -> None:
    bank, call = start()
    ids = [call("POST", path, {}, key="k").document["id"] for path in ("/wires", "/wires", "/mails", "/wires-1")]
    assert ids == ["wires-1", "wires-2", "mails-1", "wires-1-1"]
    assert [count_acts(bank.ledger_path, name) for name in ("wires", "mails", "none")] == [2, 1, 0]
    assert count_acts(bank.ledger_path, "wires", since=1) == 1
    assert count_acts(bank.ledger_path, "mails", since=3) == 0


@pytest.mark.parametrize(
    "body", [None, 7, "text", [1, 2], {"nested": {"deep": [True]}}, {"name": "Müller \u202e\ud800"}]
)
def test_any_json_value_is_a_body_and_survives_a_restart(start: Start, body: Any) -> None:
    bank, call = start()
    sent = json.dumps(body).encode()
    assert call("POST", "/things", sent).document["body"] == body
    bank.kill()
    bank.restart()
    assert Client(bank)("GET", "/things/things-1").document["body"] == body
    assert read_ledger(bank.ledger_path)[0].body == body


def test_look_ups_filter_and_keep_order(start: Start) -> None:
    _, call = start()
    call("POST", "/wires", {}, key="a b/ü", business_key="x")
    call("POST", "/wires", {}, key="other", business_key="x")
    call("POST", "/mails", {}, key="other", business_key="x")

    def ids(query: str) -> list[str]:
        return [act["id"] for act in call("GET", f"/wires{query}").document]

    assert ids("") == ["wires-1", "wires-2"]
    assert ids("?key=a%20b%2F%C3%BC") == ["wires-1"]
    assert ids("?business_key=x") == ["wires-1", "wires-2"]
    assert ids("?business_key=x&key=other") == ["wires-2"]
    assert ids("?key=absent") == ids("?key=") == []


def test_header_values_are_read_as_utf_8_or_else_latin_1(start: Start) -> None:
    bank, _ = start()
    port = int(bank.url.rpartition(":")[2])
    for encoding in ("utf-8", "latin-1"):
        with socket.create_connection(("127.0.0.1", port), DEADLINE_SECONDS) as connection:
            head = "POST /wires HTTP/1.1\r\nX-Business-Key: Müller\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
            connection.sendall(head.encode(encoding))
            assert connection.makefile("rb").read().startswith(b"HTTP/1.1 201")
    assert [act.business_key for act in read_ledger(bank.ledger_path)] == ["Müller", "Müller"]


def test_an_undo_is_idempotent_and_visible(start: Start) -> None:
    bank, call = start()
    call("POST", "/wires", {}, key="k")
    first = call("DELETE", "/wires/wires-1", key="k/undo/1", token="4")
    assert first.status == 200
    assert (first.document["undone"], first.document["undo_key"]) == (True, "k/undo/1")
    second = call("DELETE", "/wires/wires-1", key="another")
    assert second.status == 200
    assert second.document == first.document == call("GET", "/wires/wires-1").document
    assert call("GET", "/wires?key=k").document == [first.document]
    assert [event["event"] for event in read_events(bank.ledger_path)] == ["act", "undo"]
    undone = read_ledger(bank.ledger_path)[0]
    assert (undone.undone, undone.undone_at) == (True, first.document["undone_at"])
    assert (undone.undo_key, undone.undo_fencing_token) == ("k/undo/1", "4")
    assert count_acts(bank.ledger_path, "wires") == 0


def test_parallel_requests_all_land_once(start: Start) -> None:
    bank, _ = start()
    threads, each = 32, 10

    def work(worker: int) -> list[str]:
        call = Client(bank)
        return [call("POST", "/wires", {"n": n}, key=f"{worker}/{n}").document["id"] for n in range(each)]

    with ThreadPoolExecutor(threads) as pool:
        ids = [act_id for made in pool.map(work, range(threads)) for act_id in made]
    acts = read_ledger(bank.ledger_path)
    assert len(set(ids)) == len(ids) == len(acts) == threads * each
    assert {act.key for act in acts} == {f"{worker}/{n}" for worker in range(threads) for n in range(each)}
    assert [act.at for act in acts] == sorted(act.at for act in acts)


def test_health(start: Start) -> None:
    bank, call = start()
    call("POST", "/wires", {})
    assert call("GET", "/_health").document == {"name": "bank", "pid": bank.pid, "acts": 1}


# --- bad requests ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "says"),
    [
        ("POST", "/wires", b"", 400, "it is empty"),
        ("POST", "/wires", b"{", 400, "not JSON"),
        ("POST", "/wires", b"\xff\xfe", 400, "not JSON"),
        ("POST", "/wires", b"NaN", 400, "not JSON"),
        ("POST", "/wires", b"1e999", 400, "not JSON"),
        ("POST", "/wires", b"[" * 100_000, 400, "not JSON"),
        ("POST", "/wires", b'"' + b"a" * (1 << 20) + b'"', 413, "at most 1048576"),
        ("POST", "/9wires", b"{}", 400, "no collection"),
        ("POST", "/bank.wires", b"{}", 400, "no collection"),
        ("POST", "/..%2Fetc", b"{}", 400, "no collection"),
        ("POST", "/" + "a" * 65, b"{}", 400, "no collection"),
        ("POST", "/", b"{}", 404, "unknown path"),
        ("POST", "/wires/wires-1", b"{}", 405, "use GET, DELETE"),
        ("PUT", "/wires", b"{}", 405, "use GET, POST"),
        ("GET", "/a/b/c", None, 404, "unknown path"),
        ("GET", "/wires?kye=1", None, 400, "did you mean 'key'?"),
        ("GET", "/wires/wires-9", None, 404, "no act 'wires-9'"),
        ("DELETE", "/wires/wires-9", None, 404, "no act 'wires-9'"),
        ("DELETE", "/mails/wires-1", None, 404, "no act 'wires-1' in mails"),
        ("GET", "/_nothing", None, 404, "controls"),
        ("POST", "/_faults", b'[{"kind": "slwo"}]', 400, "did you mean 'slow'?"),
        ("GET", "/" + "a" * 20_000, None, 431, "longer"),
    ],
    ids=lambda value: f"{len(value)} characters" if isinstance(value, str | bytes) and len(value) > 40 else None,
)
def test_bad_requests_get_clear_errors_and_do_nothing(
    start: Start, method: str, path: str, body: bytes | None, status: int, says: str
) -> None:
    bank, call = start()
    call("POST", "/wires", {})
    answer = call(method, path, body)
    assert answer.status == status
    assert list(answer.document) == ["error"]
    assert says in answer.document["error"]
    assert len(read_events(bank.ledger_path)) == 1
    assert Client(bank)("GET", "/_health").status == 200


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"NONSENSE\r\n\r\n", 400),
        (b"POST /wires HTTP/2.0\r\n\r\n", 400),
        (b"GET http://[/ HTTP/1.1\r\nConnection: close\r\n\r\n", 400),
        (b"POST /wires HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /wires HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400),
        (b"POST /wires HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"POST /wires HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
        (b"POST /wires HTTP/1.1\r\nIdempotency-Key:\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}", 400),
        (b"POST /wires HTTP/1.1\r\n" + b"A: b\r\n" * 101 + b"\r\n", 431),
        (b"POST /wires HTTP/1.1\r\nContent-Length: 20\r\n\r\n{}", None),
        (b"POST /wires HTTP/1.1\r\nContent-Le", None),
    ],
)
def test_broken_http_is_refused_and_half_a_request_never_acts(start: Start, head: bytes, status: int | None) -> None:
    bank, call = start()
    with socket.create_connection(("127.0.0.1", int(bank.url.rpartition(":")[2])), DEADLINE_SECONDS) as connection:
        connection.sendall(head)
        connection.shutdown(socket.SHUT_WR)
        answer = connection.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 %d " % status if status else b"")
    assert bool(answer) is (status is not None)
    assert call("GET", "/_ledger").document == []


def test_a_client_may_ask_before_it_sends(start: Start) -> None:
    bank, _ = start()
    with socket.create_connection(("127.0.0.1", int(bank.url.rpartition(":")[2])), DEADLINE_SECONDS) as connection:
        answers = connection.makefile("rb")
        connection.sendall(b"POST /wires HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert answers.readline() == b"HTTP/1.1 100 Continue\r\n"
        connection.sendall(b"{}")
        assert answers.readline() == b"\r\n"
        assert answers.readline() == b"HTTP/1.1 201 Created\r\n"


# --- keys ------------------------------------------------------------------------------------------------------------


def test_a_known_key_is_answered_with_its_first_result(start: Start) -> None:
    bank, call = start(honours_key=True)
    first = call("POST", "/wires", {"a": 1, "b": 2}, key="k")
    again = call("POST", "/wires", {"b": 2, "a": 1}, key="k")
    assert (first.status, again.status) == (201, 200)
    assert again.document == first.document
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    assert call("POST", "/wires", {"a": 2}, key="k").status == 422
    assert call("POST", "/mails", {"a": 1, "b": 2}, key="k").status == 422
    assert call("POST", "/wires", {"a": 1, "b": 2}).status == 201
    assert [act.key for act in read_ledger(bank.ledger_path)] == ["k", None]

    call("DELETE", "/wires/wires-1")
    bank.kill()
    bank.restart()
    replayed = Client(bank)("POST", "/wires", {"a": 1, "b": 2}, key="k")
    assert (replayed.status, replayed.document) == (200, first.document)


def test_a_key_in_flight_is_a_conflict_until_its_act_is_there(start: Start) -> None:
    bank, call = start(honours_key=True, faults=[{"kind": "slow", "delay": FOR_EVER, "nth": 1}])
    first = Client(bank)
    first.send("POST", "/wires", {"a": 1}, key="k")
    until(lambda: matched(bank) or None)
    assert call("POST", "/wires", {"a": 2}, key="k").status == 422
    assert call("POST", "/mails", {"a": 1}, key="k").status == 422
    conflict = call("POST", "/wires", {"a": 1}, key="k")
    assert conflict.status == 409
    assert "in flight" in conflict.document["error"]
    assert call("POST", "/wires", {"a": 1}, key="another").status == 201
    bank.kill()
    bank.restart()
    assert [act.key for act in read_ledger(bank.ledger_path)] == ["another"]
    bank.set_faults([])
    assert Client(bank)("POST", "/wires", {"a": 1}, key="k").status == 201


def test_of_many_with_one_key_exactly_one_acts(start: Start) -> None:
    bank, _ = start(honours_key=True, latency="20ms")
    together = threading.Barrier(16)

    def work(_: int) -> int:
        call = Client(bank)
        together.wait(DEADLINE_SECONDS)
        return call("POST", "/wires", {}, key="k").status

    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(work, range(16)))
    assert statuses.count(201) == 1
    assert set(statuses) <= {200, 201, 409}
    assert count_acts(bank.ledger_path, "wires") == 1


def test_a_forgotten_key_acts_anew(start: Start) -> None:
    _, call = start(honours_key=True, key_lifetime=0)
    assert [call("POST", "/wires", {"n": n}, key="k").status for n in range(2)] == [201, 201]
    assert len(call("GET", "/wires?key=k").document) == 2
    _, call = start(honours_key=True, key_lifetime="24h")
    assert [call("POST", "/wires", {}, key="k").status for _ in range(2)] == [201, 200]


def test_a_replay_can_be_lost_and_refusals_are_not_counted(start: Start) -> None:
    bank, call = start(honours_key=True, faults=[{"kind": "lose_answer", "count": 2}])
    for _ in range(2):
        with pytest.raises(http.client.RemoteDisconnected):
            call("POST", "/wires", {}, key="k")
    assert call("POST", "/wires", [], key="k").status == 422
    assert call("POST", "/wires", {}, key="k").status == 200
    assert (matched(bank), count_acts(bank.ledger_path, "wires")) == (3, 1)


def test_a_failure_before_acting_leaves_no_key(start: Start) -> None:
    _, call = start(honours_key=True, faults=[{"kind": "fail_before", "nth": 1}])
    assert [call("POST", "/wires", {}, key="k").status for _ in range(3)] == [500, 201, 200]


# --- delays and faults -----------------------------------------------------------------------------------------------


def test_latency_passes_before_acts_and_undos_only(start: Start) -> None:
    _, call = start(latency="60ms")
    for method, path, least in (("POST", "/wires", 0.06), ("DELETE", "/wires/wires-1", 0.06), ("GET", "/wires", 0.0)):
        begun = time.monotonic()
        assert call(method, path, {} if method == "POST" else None).status < 300
        assert time.monotonic() - begun >= least


def test_a_lost_answer_acts_and_hangs_up(start: Start) -> None:
    bank, call = start(faults=[{"kind": "lose_answer", "nth": 2}])
    assert call("POST", "/wires", {}, key="a").status == 201
    with pytest.raises(http.client.RemoteDisconnected):
        call("POST", "/wires", {}, key="b")
    assert [act.key for act in read_ledger(bank.ledger_path)] == ["a", "b"]
    assert [act["key"] for act in call("GET", "/wires?key=b").document] == ["b"]
    assert call("POST", "/wires", {}, key="c").status == 201


def test_failures_before_and_after_the_act(start: Start) -> None:
    bank, call = start(
        faults=[{"kind": "fail_before", "nth": 1, "status": 503}, {"kind": "fail_after", "nth": 2, "status": 599}]
    )
    answers = [call("POST", "/wires", {}, key=key) for key in "abc"]
    assert [answer.status for answer in answers] == [503, 599, 201]
    assert "before" in answers[0].document["error"]
    assert "after" in answers[1].document["error"]
    assert [act.key for act in read_ledger(bank.ledger_path)] == ["b", "c"]


def test_slow_delays_the_act(start: Start) -> None:
    bank, call = start(faults=[{"kind": "slow", "delay": "50ms", "count": 1}])
    begun = time.monotonic()
    call("POST", "/wires", {})
    assert time.monotonic() - begun >= 0.05
    bank.set_faults([{"kind": "slow", "delay": FOR_EVER}])
    Client(bank).send("POST", "/wires", {})
    until(lambda: matched(bank) or None)
    assert count_acts(bank.ledger_path, "wires") == 1


@pytest.mark.parametrize("lag", [{"lookup_lag": FOR_EVER}, {"faults": [{"kind": "lagging", "delay": FOR_EVER}]}])
def test_a_lagging_look_up_misses_young_acts(start: Start, lag: dict[str, Any]) -> None:
    _, call = start(**lag)
    call("POST", "/wires", {}, key="k")
    assert call("GET", "/wires?key=k").document == []
    assert call("GET", "/wires/wires-1").status == 404
    assert len(call("GET", "/_ledger").document) == 1
    assert call("DELETE", "/wires/wires-1").status == 200


def test_what_lagged_appears_in_time_and_so_do_undos(start: Start) -> None:
    _, call = start(lookup_lag="50ms")
    call("POST", "/wires", {}, key="k")
    act = until(lambda: next(iter(call("GET", "/wires").document), None))
    call("DELETE", "/wires/wires-1")
    assert call("GET", "/wires/wires-1").document == act
    assert until(lambda: call("GET", "/wires/wires-1").document["undone"] or None)


def test_faults_match_by_collection_and_method(start: Start) -> None:
    _, call = start(
        faults=[
            {"kind": "fail_before", "collection": "mails"},
            {"kind": "fail_before", "method": "GET", "collection": "wires", "count": 1},
            {"kind": "lose_answer", "method": "DELETE", "count": 1},
        ]
    )
    assert call("POST", "/wires", {}).status == 201
    assert call("POST", "/mails", {}).status == 500
    assert [call("GET", "/wires").status for _ in range(2)] == [500, 200]
    with pytest.raises(http.client.RemoteDisconnected):
        call("DELETE", "/wires/wires-1")
    assert call("GET", "/wires/wires-1").document["undone"] is True
    faults = call("GET", "/_faults").document
    assert [(fault["matched"], fault["struck"]) for fault in faults] == [(1, 1), (3, 1), (1, 1)]


def test_a_fault_that_could_not_show_keeps_its_count(start: Start) -> None:
    _, call = start(faults=[{"kind": "fail_before", "count": 1}, {"kind": "fail_after", "count": 1, "status": 502}])
    assert [call("POST", "/wires", {}).status for _ in range(3)] == [500, 502, 201]


def test_chance_is_seeded_and_near_its_probability(start: Start) -> None:
    def pattern(seed: int) -> list[int]:
        _, call = start(seed=seed, faults=[{"kind": "fail_before", "probability": 0.3}])
        return [call("POST", "/wires", {}).status for _ in range(200)]

    first = pattern(1)
    assert pattern(1) == first != pattern(2)
    assert 30 <= first.count(500) <= 90


def test_faults_are_replaced_at_run_time_until_a_restart(start: Start) -> None:
    bank, call = start(faults=[{"kind": "fail_before"}])
    assert call("POST", "/wires", {}).status == 500
    bank.set_faults([])
    assert call("POST", "/wires", {}).status == 201
    replaced = call("POST", "/_faults", [{"kind": "fail_after"}])
    assert [fault["kind"] for fault in replaced.document] == ["fail_after"]
    assert call("POST", "/wires", {}).status == 500
    assert count_acts(bank.ledger_path, "wires") == 2
    with pytest.raises(UsageError, match="faults of bank"):
        bank.set_faults([{"kind": "no"}])
    bank.restart()
    assert Client(bank)("POST", "/wires", {}).status == 500
    assert count_acts(bank.ledger_path, "wires") == 2


# --- ledger and process ----------------------------------------------------------------------------------------------


def test_the_ledger_is_owner_only_in_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "new" / "ledger.jsonl"
    with start_upstream("bank", path) as bank:
        assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(bank.error_path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert sorted(path.parent.iterdir()) == [path, bank.error_path]
        assert bank.error_path.read_text() == ""


def test_kill_under_load_loses_no_answered_act_and_the_next_goes_on(start: Start) -> None:
    bank, _ = start()
    url, first_pid = bank.url, bank.pid
    enough = threading.Semaphore(0)
    answered: list[str] = []

    def work(worker: int) -> None:
        call = Client(bank)
        for n in range(100_000):
            try:
                answer = call("POST", "/wires", {}, key=f"{worker}/{n}")
            except (ConnectionError, http.client.HTTPException):
                return
            answered.append(answer.document["key"])
            enough.release()

    with ThreadPoolExecutor(8) as pool:
        for worker in range(8):
            pool.submit(work, worker)
        for _ in range(100):
            assert enough.acquire(timeout=DEADLINE_SECONDS)
        bank.kill()
    assert not bank.running
    bank.restart()
    assert (bank.url, bank.pid != first_pid) == (url, True)
    keys = [act.key for act in read_ledger(bank.ledger_path)]
    assert set(answered) <= set(keys)
    assert len(keys) == len(set(keys)) <= len(answered) + 8
    assert Client(bank)("POST", "/wires", {}).document["id"] == f"wires-{len(keys) + 1}"


@pytest.mark.parametrize("torn", [b'{"event": "act", "id": "wi', b'{"event": "act"}', b"\x00\x00\x00", b'"\xff'])
def test_a_torn_last_line_never_happened(start: Start, torn: bytes) -> None:
    bank, call = start()
    call("POST", "/wires", {"n": 1})
    call("DELETE", "/wires/wires-1")
    bank.kill()
    whole = bank.ledger_path.read_bytes()
    bank.ledger_path.write_bytes(whole + torn)
    assert len(read_ledger(bank.ledger_path)) == 1
    bank.restart()
    assert bank.ledger_path.read_bytes() == whole
    assert Client(bank)("POST", "/wires", {"n": 2}).document["id"] == "wires-2"
    assert [act.undone for act in read_ledger(bank.ledger_path)] == [True, False]


@pytest.mark.parametrize(
    "line", [b"nonsense", b"[]", b"{}", b'{"event": "act", "id": "x-1"}', b'{"event": "undo", "id": "gone-1"}']
)
def test_a_damaged_line_is_an_error_not_skipped(start: Start, line: bytes) -> None:
    bank, call = start()
    call("POST", "/wires", {})
    bank.stop()
    with bank.ledger_path.open("ab") as ledger:
        ledger.write(line + b"\n")
    with pytest.raises(UsageError, match=r"ledger-0\.jsonl:2: "):
        read_ledger(bank.ledger_path)
    with pytest.raises(UsageError, match=r"'bank' did not start: .*ledger-0\.jsonl:2: "):
        bank.restart()
    assert not bank.running


def test_a_missing_ledger_is_not_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such ledger"):
        count_acts(tmp_path / "absent.jsonl", "wires")
    with pytest.raises(UsageError, match="cannot be read"):
        read_ledger(tmp_path)


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs prlimit")
def test_a_full_disk_does_nothing_and_leaves_whole_lines(start: Start) -> None:
    bank, call = start()
    call("POST", "/wires", {})
    before = bank.ledger_path.read_bytes()
    _, hard = resource.prlimit(bank.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(bank.pid, resource.RLIMIT_FSIZE, (len(before) + 10, hard))
    for method, path in (("POST", "/wires"), ("DELETE", "/wires/wires-1")):
        answer = call(method, path, {})
        assert (answer.status, "nothing was done" in answer.document["error"]) == (507, True)
        assert bank.ledger_path.read_bytes() == before
    resource.prlimit(bank.pid, resource.RLIMIT_FSIZE, (hard, hard))
    assert call("POST", "/wires", {}).document["id"] == "wires-2"
    assert [act.undone for act in read_ledger(bank.ledger_path)] == [False, False]


def test_one_writer_per_ledger(start: Start) -> None:
    bank, _ = start()
    with pytest.raises(EnvironmentTrouble, match="another stand-in writes this ledger"):
        Ledger(bank.ledger_path, lambda: datetime.now(UTC))


def test_a_taken_port_is_told(start: Start, tmp_path: Path) -> None:
    bank, _ = start()
    port = int(bank.url.rpartition(":")[2])
    with pytest.raises(EnvironmentTrouble, match=f"'second' did not start: port {port} "):
        start_upstream("second", tmp_path / "second.jsonl", port=port)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentTrouble, match="cannot be written"):
        start_upstream("bank", tmp_path / "file" / "ledger.jsonl")


def test_stop_and_kill_end_the_process_and_may_be_repeated(tmp_path: Path) -> None:
    with start_upstream("bank", tmp_path / "ledger.jsonl") as bank:
        pid = bank.pid
        assert bank.running
        assert os.getsid(pid) == pid
        bank.stop()
        bank.stop()
        bank.kill()
        assert not bank.running
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_stop_does_not_wait_for_what_is_in_flight(start: Start) -> None:
    bank, _ = start(latency=FOR_EVER, faults=[{"kind": "slow", "delay": FOR_EVER}])
    Client(bank).send("POST", "/wires", {})
    until(lambda: matched(bank) or None)
    begun = time.monotonic()
    bank.stop()
    assert time.monotonic() - begun < upstream_module.STOP_SECONDS
    assert read_ledger(bank.ledger_path) == []


PARENT = """
import sys
from tape.lab.upstream import start_upstream
bank = start_upstream("bank", sys.argv[1], port=int(sys.argv[2]))
print(bank.pid, bank.url, flush=True)
sys.stdin.read()
"""


def test_it_dies_with_a_killed_parent_and_hands_over_ledger_and_port(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    port = 0
    for turn in range(3):
        parent = subprocess.Popen(
            [sys.executable, "-c", PARENT, str(path), str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
        with parent:
            assert parent.stdout is not None
            url = parent.stdout.readline().decode().split()[1]
            port = int(url.rpartition(":")[2])
            with socket.create_connection(("127.0.0.1", port), DEADLINE_SECONDS) as connection:
                connection.sendall(b"POST /wires HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")
                assert connection.recv(65536).startswith(b"HTTP/1.1 201")
                parent.kill()
                if turn == 0:
                    assert connection.recv(1) == b""  # the kernel closes it when the process is gone
    with start_upstream("bank", path, port=port):
        assert count_acts(path, "wires") == 3


@contextmanager
def command(*arguments: str, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tape.lab.upstream", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
        **options,
    )
    with process:
        yield process
        process.kill()


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_the_command_says_one_line_and_ends_on_a_signal(tmp_path: Path, ending: signal.Signals) -> None:
    with command("--name", "bank", "--ledger", str(tmp_path / "l"), "--options", '{"honours_key": true}') as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        assert (told["name"], told["pid"]) == ("bank", process.pid)
        connection = http.client.HTTPConnection(told["url"].removeprefix("http://"), timeout=DEADLINE_SECONDS)
        connection.request("GET", "/_health")
        assert json.loads(connection.getresponse().read())["acts"] == 0
        process.send_signal(ending)
        out, err = process.communicate(timeout=DEADLINE_SECONDS)
        assert (process.returncode, out, err) == (0, b"", b"")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--options", "{"], "--options: not JSON"),
        (["--options", '{"honour_key": true}'], "did you mean 'honours_key'?"),
        (["--port", "70000"], "is no port"),
        (["--name", "../etc"], "cannot name a stand-in"),
    ],
)
def test_wrong_use_of_the_command_is_one_line_and_exit_2(tmp_path: Path, arguments: list[str], says: str) -> None:
    with command("--name", "bank", "--ledger", str(tmp_path / "l"), *arguments) as process:
        out, err = process.communicate(timeout=DEADLINE_SECONDS)
    assert (process.returncode, out, err.count(b"\n")) == (2, b"", 1)
    assert says in err.decode()
    assert not (tmp_path / "l").exists()


def test_it_shares_no_code_with_the_runtime_and_loads_little() -> None:
    code = "import sys, tape.lab.upstream; print(*sys.modules)"
    command = [sys.executable, "-c", code]
    out = subprocess.run(command, capture_output=True, check=True, cwd=Path(__file__).parents[2]).stdout.decode()
    loaded = set(out.split())
    ours = {name for name in loaded if name.startswith("tape.") and not name.startswith("tape.lab")}
    assert ours <= {"tape.core", "tape.core.kernel", "tape.core.kernel.errors"}
    heavy = {"sqlite3", "sqlmodel", "typer", "textual", "psutil", "yaml", "asyncio", "ssl", "email", "http.client"}
    assert not loaded & (heavy | {"subprocess", "hashlib", "difflib"})


# --- options ---------------------------------------------------------------------------------------------------------


def test_options_are_read_and_written_the_same() -> None:
    options = parse_options(
        {
            "honours_key": True,
            "key_lifetime": "24h",
            "latency": "20ms",
            "lookup_lag": 1.5,
            "seed": -3,
            "faults": [
                {"kind": "slow", "delay": "1s", "probability": 0.5, "count": 2, "collection": "wires"},
                {"kind": "fail_before", "status": 503, "nth": 3, "method": "GET"},
                {"kind": "lagging", "delay": "5m"},
            ],
        },
        "test",
    )
    assert options.key_lifetime_seconds == 86400
    assert (options.latency_seconds, options.lookup_lag_seconds) == (0.02, 1.5)
    assert [(fault.kind, fault.method) for fault in options.faults] == [
        (FaultKind.SLOW, "POST"),
        (FaultKind.FAIL_BEFORE, "GET"),
        (FaultKind.LAGGING, "GET"),
    ]
    assert parse_options(json.loads(json.dumps(options.document())), "test") == options
    assert parse_options({}, "test") == parse_options(UpstreamOptions().document(), "test") == UpstreamOptions()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"honour_key": True}, "bank: unknown option 'honour_key'; did you mean 'honours_key'?"),
        ({1: True}, "bank: unknown option 1; known are honours_key, key_lifetime, latency"),
        (None, "bank: expected a mapping such as {honours_key: ...}, not None"),
        ([], "bank: expected a mapping such as {honours_key: ...}, not []"),
        ({"honours_key": "yes"}, "bank: honours_key: 'yes' is neither true nor false"),
        ({"latency": "20"}, "bank: latency: '20' is no duration; write 20ms, 1s, 5m or a number of seconds"),
        ({"latency": "20 sec"}, "is no duration"),
        ({"latency": -1}, "is no duration"),
        ({"latency": True}, "is no duration"),
        ({"latency": float("nan")}, "is no duration"),
        ({"latency": float("inf")}, "is no duration"),
        ({"latency": 10**400}, "is no duration"),
        ({"lookup_lag": "9999d"}, "bank: lookup_lag: '9999d' is no duration"),
        ({"key_lifetime": []}, "bank: key_lifetime: [] is no duration"),
        ({"seed": 1.5}, "bank: seed: 1.5 is not a whole number"),
        ({"faults": "slow"}, "bank: faults: expected a list such as [{kind: lose_answer, nth: 1}], not 'slow'"),
        ({"faults": {"kind": "slow"}}, "bank: faults: expected a list"),
        ({"faults": ["slow"]}, "bank: faults[0]: expected a mapping such as {kind: ...}, not 'slow'"),
        ({"faults": [{}]}, "bank: faults[0]: kind is missing; write one of slow, lose_answer"),
        ({"faults": [{"kind": "loose_answer"}]}, "unknown kind 'loose_answer'; did you mean 'lose_answer'?"),
        ({"faults": [{"kind": "lose_answer", "nht": 1}]}, "faults[0]: unknown field 'nht'; did you mean 'nth'?"),
        ({"faults": [{"kind": "lose_answer", "nth": 0}]}, "nth: 0 is not a whole number of at least 1"),
        ({"faults": [{"kind": "lose_answer", "count": True}]}, "count: True is not a whole number of at least 1"),
        ({"faults": [{"kind": "lose_answer", "probability": 2}]}, "probability: 2 is not a number from 0 to 1"),
        ({"faults": [{"kind": "lose_answer", "delay": 1}]}, "delay belongs to slow and lagging, not to lose_answer"),
        ({"faults": [{"kind": "lose_answer", "status": 500}]}, "status belongs to fail_before and fail_after"),
        ({"faults": [{"kind": "slow"}]}, "slow needs a delay, for example delay: 200ms"),
        ({"faults": [{"kind": "fail_after", "status": 200}]}, "status: 200 is not a whole number of at least 400"),
        ({"faults": [{"kind": "fail_after", "status": 600}]}, "status: 600 is not an error"),
        ({"faults": [{"kind": "fail_after", "method": "PUT"}]}, "method: 'PUT' is none of POST, GET, DELETE"),
        ({"faults": [{"kind": "fail_after", "method": "GET"}]}, "fail_after is about acts: use fail_before for GET"),
        ({"faults": [{"kind": "lagging", "delay": 1, "method": "POST"}]}, "lagging is about look-ups"),
        ({"faults": [{"kind": "slow", "delay": 1, "collection": 7}]}, "collection: 7 is no name such as wires"),
        ({"latency": "x\n" * 100}, "bank: latency: "),
    ],
)
def test_wrong_options_are_one_line_each(options: Any, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_options(options, "bank")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


def test_names(tmp_path: Path) -> None:
    assert environment_variable("bank") == "TAPE_UPSTREAM_BANK"
    assert environment_variable("card-network") == "TAPE_UPSTREAM_CARD_NETWORK"
    for name in ("", "9bank", "bank.wires", "a/b", "bänk"):
        with pytest.raises(UsageError, match="cannot name a stand-in"):
            start_upstream(name, tmp_path / "ledger.jsonl")
