"""Telemetry for real: servers, agents and deaths, and a collector that takes, says no, hangs or is not there."""

from __future__ import annotations

import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tape.reactors.collector import Collector, Watched, reason
from tape.reactors.telemetry import trace_id
from tests.dev.harness import Project, Server, wait_until
from tests.reactors.collector import Got, collector

HERE = ":".join(filter(None, sys.path))
QUICK = {"OTEL_BSP_SCHEDULE_DELAY": "50", "OTEL_METRIC_EXPORT_INTERVAL": "100"}
BEFORE_EXIT_SECONDS = 8.0
"""For a loaded machine; the packages' own would take ten seconds and more for each of spans and metrics."""


@pytest.fixture
def got() -> Iterator[Got]:
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
    with collector() as it:
        yield it


def project_of(folder: Path, url: str) -> Project:
    environment = {**QUICK, "OTEL_EXPORTER_OTLP_ENDPOINT": url, "PYTHONPATH": HERE}
    project = Project(folder, environment=environment)
    with open(project.folder / "tape.yaml", "a") as file:
        file.write("telemetry: otel\n")
    return project


def killed_run(project: Project) -> tuple[Server, str]:
    server = project.server("server")
    assert project.tape("kill", "--at", "effect.acted").returncode == 0
    run_id = project.start_run()
    project.await_status(run_id)
    return server, run_id


def stop(server: Server) -> float:
    begun = time.monotonic()
    server.send(signal.SIGTERM)
    assert server.wait() == 0
    return time.monotonic() - begun


def said(server: Server) -> list[str]:
    return [line for line in server.err if "telemetry" in line]


@pytest.mark.slow
def test_a_killed_run_arrives(tmp_path: Path, got: Got) -> None:
    project = project_of(tmp_path, got.url)
    try:
        server, run_id = killed_run(project)
        stop(server)
        assert said(server) == []
    finally:
        project.close()
    spans = {}
    for span in got.spans():
        spans.setdefault(span["name"], []).append(span)
    assert {name: len(found) for name, found in spans.items()} == {
        "chat ask_model": 3, "execute_tool wire_money": 1, "lease": 2, "invoke_agent treasury": 1,
    }  # fmt: skip
    (run,), (wire,) = spans["invoke_agent treasury"], spans["execute_tool wire_money"]
    below = [span for span in got.spans() if span["parent"]]
    assert {span["trace"] for span in got.spans()} == {f"{trace_id(run_id):032x}"}
    assert len(below) == 6 and {span["parent"] for span in below} == {run["id"]}
    assert {span["attributes"]["tape.run"] for span in got.spans()} == {run_id}
    assert {span["service"] for span in got.spans()} == {"treasury"}
    assert (run["attributes"]["gen_ai.agent.name"], run["failed"]) == ("treasury", False)
    assert run["events"]["crash"]["tape.status"] == "DIED"
    assert wire["attributes"]["gen_ai.tool.name"] == "wire_money"
    assert wire["attributes"]["gen_ai.tool.call.id"] == f"{run_id}/1/0/wire_money"
    assert wire["attributes"]["tape.resolution"] == "observed"
    asked = spans["chat ask_model"][0]
    assert (asked["kind"], asked["attributes"]["gen_ai.operation.name"]) == (3, "chat")
    assert asked["attributes"]["gen_ai.usage.input_tokens"] > 0
    assert [span["attributes"].get("error.type") for span in spans["lease"]] == ["DIED", None]

    metrics = got.metrics()
    (tokens, _) = metrics["gen_ai.client.token.usage"]
    assert (tokens["unit"], tokens["count"], tokens["attributes"]["gen_ai.token.type"]) == ("{token}", 3, "input")
    (took,) = metrics["tape.recovery.duration"]
    assert (took["count"], took["bounds"][0]) == (1, 0.01) and 0 < took["value"] < 60
    assert took["attributes"] == {"tape.point": "effect.acted", "tape.death": "KILL", "tape.hook": False}
    assert [metrics[name][0]["value"] for name in ("tape.crashes", "tape.second_acts_prevented")] == [1, 1]


@pytest.mark.slow
@pytest.mark.parametrize("how", ["down", "hangs"])
def test_a_collector_that_takes_nothing_holds_nobody_up(tmp_path: Path, got: Got, how: str) -> None:
    url = got.url
    if how == "down":
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    else:
        got.hold.set()
    project = project_of(tmp_path, url)
    try:
        server, _ = killed_run(project)
        if how == "hangs":
            assert got.came.wait(20)
        else:
            server.await_line("telemetry")
        took = stop(server)
        assert took < BEFORE_EXIT_SECONDS, f"the end took {took:.1f} s"
        assert len(said(server)) <= 1, said(server)
        if how != "hangs":  # there nothing is known before a time-out of ten seconds
            (line,) = said(server)
            assert "does not take what it is told (Connection refused): runs go on" in line
        assert project.wires() and not any("Traceback" in line for line in server.err)
    finally:
        project.close()


@pytest.mark.slow
def test_a_collector_that_says_no_is_told_of_once_and_taken_up_again(tmp_path: Path, got: Got) -> None:
    got.status = 503
    project = project_of(tmp_path, got.url)
    project.environment["OTEL_EXPORTER_OTLP_TIMEOUT"] = "3"  # with less there may be no second try, and so no reason
    try:
        server = project.server("server")
        first = project.start_run()
        project.await_status(first)
        assert "(Service Unavailable)" in server.await_line("does not take what it is told")
        got.status = 200
        server.await_line("telemetry: the collector takes what it is told again")
        second = project.start_run()
        project.await_status(second)
        wait_until(
            lambda: any(span["attributes"]["tape.run"] == second for span in got.spans()), "the second run is told"
        )
        stop(server)
        assert len(said(server)) == 2
    finally:
        project.close()


# --- by hand --------------------------------------------------------------------------------------------------------


def test_each_way_is_said_once() -> None:
    heard: list[str] = []
    watched = Collector(heard.append)
    for taken in (True, False, False, True, False, True):
        watched.took(taken)
    assert [line.partition(":")[0] for line in heard] == ["telemetry", "telemetry"]
    assert "does not take" in heard[0] and heard[1].endswith("again") and not watched.away


def test_what_is_watched_is_the_exporter() -> None:
    class Exporter:
        result: object = None
        flushed = 0

        def export(self, batch: list[int], timeout_millis: int = 0) -> object:
            if batch == [3]:
                raise ConnectionError("[Errno 113] No route to host")
            return self.result

        def force_flush(self) -> int:
            self.flushed += 1
            return self.flushed

    class Done:
        name = "SUCCESS"

    heard: list[str] = []
    told = Collector(heard.append)
    exporter = Exporter()
    watched = Watched(exporter, told)
    assert watched.force_flush() == 1 and watched.flushed == 1
    exporter.result = Done()
    assert watched.export([1], timeout_millis=5) is exporter.result
    assert not told.away and heard == []
    with pytest.raises(ConnectionError):
        watched.export([3])
    assert told.away and "(No route to host)" in heard[0]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            "Transient error HTTPConnectionPool(host='127.0.0.1', port=9): Max retries exceeded (Caused by "
            'NewConnectionError("x: [Errno 111] Connection refused")) encountered while exporting spans batch',
            "Connection refused",
        ),
        ("Transient error HTTPConnectionPool(host='a'): Read timed out. (read timeout=1)", "no answer in time"),
        ("Transient error Service Unavailable encountered while exporting span batch", "Service Unavailable"),
        ("Failed to export spans batch code: 404, reason: Not Found", "404 Not Found"),
        ("something\n else", "something else"),
    ],
)  # fmt: skip
def test_reasons_are_short(text: str, why: str) -> None:
    assert reason(text) == why
