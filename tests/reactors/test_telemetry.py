"""Spans and metrics through the real packages, kept in memory; what happens if those are slow, away, or not there."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tape.core.config import load_config
from tape.core.kernel import events
from tape.core.kernel.errors import UsageError
from tape.core.kernel.events import Entry
from tape.reactors import telemetry
from tape.reactors.collector import Collector
from tape.reactors.telemetry import Telemetry, open_telemetry, span_id, trace_id
from tests.core.run_book import KEY, RUN, START_US, Script, demo, to_effect
from tests.dev.harness import Project, one_line

WAIT_SECONDS = 20


class Rig:
    """A `Telemetry` over in-memory exporters. `entries` is what the journal would say."""

    def __init__(self, exporter: Any = None) -> None:
        sdk = pytest.importorskip("opentelemetry.sdk.trace")
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        self.exporter = exporter or InMemorySpanExporter()
        self.reader = InMemoryMetricReader()
        self.trouble: list[str] = []
        self.asked: list[str] = []
        self.entries: Sequence[Entry] = ()
        ids = telemetry._Ids()
        traces = sdk.TracerProvider(id_generator=ids)
        traces.add_span_processor((BatchSpanProcessor if exporter else SimpleSpanProcessor)(self.exporter))
        metrics = MeterProvider([self.reader])
        self.figures: dict[str, Any] = {}
        self.shut_down = metrics.shutdown
        metrics.shutdown = self._collect  # type: ignore[method-assign]
        self.telemetry = Telemetry(traces, metrics, ids, self._history, Collector(self.trouble.append))

    def _history(self, run_id: str) -> Sequence[Entry]:
        self.asked.append(run_id)
        return self.entries

    def _collect(self, *args: Any, **named: Any) -> None:
        data = self.reader.get_metrics_data()
        for resource in data.resource_metrics if data else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    points = metric.data.data_points
                    self.figures[metric.name] = sum(
                        getattr(point, "value", None) or getattr(point, "sum", 0) for point in points
                    )
        self.shut_down()

    def until(self, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while not done():
            assert time.monotonic() < deadline
            threading.Event().wait(0.002)

    def told(self, *batches: Sequence[Entry]) -> list[Any]:
        for batch in batches:
            self.telemetry.hear(list(batch))
        self.telemetry.close()
        assert not self.telemetry._thread.is_alive()
        return list(self.exporter.get_finished_spans())


def test_the_demo_is_one_trace() -> None:
    rig = Rig()
    spans = rig.told(*([entry] for entry in demo().entries))
    assert [span.name for span in spans] == [
        "chat ask_model", "chat ask_model", "lease", "execute_tool wire_money", "chat ask_model", "lease",
        "invoke_agent treasury",
    ]  # fmt: skip
    run = spans[-1]
    assert {span.context.trace_id for span in spans} == {trace_id(RUN)} == {run.context.trace_id}
    assert run.parent is None and run.context.span_id == span_id(RUN, "")
    assert {span.parent.span_id for span in spans[:-1]} == {run.context.span_id}
    assert len({span.context.span_id for span in spans}) == 7
    assert (run.start_time, run.end_time) == (START_US * 1000, (START_US + 245_000) * 1000)
    assert spans[3].context.span_id == span_id(RUN, f"effect {KEY}")
    assert spans[3].attributes["tape.resolution"] == "observed"
    crash = next(event for event in run.events if event.name == "crash")
    assert crash.timestamp == (START_US + 176_000) * 1000
    assert [span.status.is_ok for span in spans] == [True, True, False, True, True, True, True]
    assert rig.figures["tape.crashes"] == 1
    assert rig.figures["tape.second_acts_prevented"] == 1
    assert rig.figures["tape.recovery.duration"] == pytest.approx(0.065)
    assert rig.figures["gen_ai.client.token.usage"] == 3 * 210
    assert rig.figures["gen_ai.client.operation.duration"] == pytest.approx(3 * 0.0005)
    assert rig.trouble == [] and rig.asked == []


def test_people_and_repeated_asks_are_counted() -> None:
    from tests.core.test_figures import asked, lost_reply

    script = asked(lost_reply().grant(30, epoch=3, drive=2), 31, 2).move(40, "RUNNING", "STUCK", "nobody knows")
    rig = Rig()
    rig.told(*([entry] for entry in script.entries))
    assert (rig.figures["tape.asks_repeated"], rig.figures["tape.questions"], rig.figures["tape.crashes"]) == (1, 1, 1)


@pytest.mark.parametrize("at", [5, 12, 20])
def test_a_later_server_goes_on_with_the_trace_and_counts_nothing_twice(at: int) -> None:
    whole = demo().entries
    at = min(at, len(whole) - 2)
    first, second = Rig(), Rig()
    early = first.told(whole[:at])
    second.entries = whole
    late = second.told(whole[at:])
    assert second.asked == [RUN]
    once = [(span.name, span.context.span_id, span.start_time) for span in [*early, *late]]
    assert once == [(span.name, span.context.span_id, span.start_time) for span in Rig().told(whole)]
    for name, value in (
        ("tape.crashes", 1),
        ("tape.second_acts_prevented", 1),
        ("tape.recovery.duration", 0.065),
        ("gen_ai.client.token.usage", 3 * 210),
    ):
        assert first.figures.get(name, 0) + second.figures.get(name, 0) == pytest.approx(value)


def left_behind() -> list[Entry]:
    """A run that has ended; the last entry is the end of what it left to itself."""
    script = to_effect(dispatch="outbox").finish(200, worker=1, epoch=1)
    return script.end(300, "returned", writer="outbox").entries


def test_what_a_run_left_behind_is_told_in_its_trace_and_then_it_is_forgotten() -> None:
    rig = Rig()
    *whole, late = left_behind()
    rig.telemetry.hear(whole)
    spans = rig.told([late])
    assert [span.name for span in spans[-2:]] == ["invoke_agent treasury", "execute_tool wire_money"]
    assert (spans[-1].start_time, spans[-1].end_time) == ((START_US + 164_000) * 1000, (START_US + 300_000) * 1000)
    assert rig.asked == [] and rig.telemetry._runs == {}


def test_what_an_earlier_server_s_run_left_behind_is_told_and_forgotten() -> None:
    rig = Rig()
    rig.entries = left_behind()
    (span,) = rig.told(rig.entries[-1:])
    assert (span.name, span.start_time) == ("execute_tool wire_money", (START_US + 164_000) * 1000)
    assert rig.asked == [RUN] and rig.telemetry._runs == {}


def test_an_entry_after_the_end_keeps_nothing() -> None:
    rig = Rig()
    opened = events.ConflictOpened(key=KEY, why="it has acted after all", evidence=None)
    rig.entries = demo().add(400, opened).entries
    assert rig.told(rig.entries[:-1])[-1].name == "invoke_agent treasury"
    again = Rig()
    again.entries = rig.entries
    assert again.told(again.entries[-1:]) == []
    assert rig.telemetry._runs == again.telemetry._runs == {}


def test_what_it_cannot_keep_up_with_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "MOST_WAITING", 1)
    rig = Rig()
    whole = demo().entries
    going_on, started = threading.Event(), threading.Event()
    other = Script("r-other").start().entries

    def slow(run_id: str) -> Sequence[Entry]:
        if run_id != RUN:
            started.set()
            assert going_on.wait(WAIT_SECONDS)
            return ()
        return whole

    monkeypatch.setattr(rig.telemetry, "_history", slow)
    rig.telemetry.hear(other[1:])
    assert started.wait(WAIT_SECONDS)
    rig.telemetry.hear(whole[:1])  # waits
    for entry in whole[1:-1]:
        rig.telemetry.hear([entry])  # nobody has room for them, and nobody is held up
    assert rig.telemetry._missed
    going_on.set()
    rig.until(rig.telemetry._heard.empty)
    spans = rig.told(whole[-1:])
    assert spans[-1].name == "invoke_agent treasury"
    assert [event.name for event in spans[-1].events].count("crash") == 1


def test_a_collector_that_hangs_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("opentelemetry.sdk.trace")
    hanging = threading.Event()

    class Hanging:
        def export(self, spans: Any) -> Any:
            hanging.wait(WAIT_SECONDS)

        def shutdown(self) -> None: ...
        def force_flush(self, timeout_millis: int = 0) -> bool:
            return True

    monkeypatch.setattr(telemetry, "CLOSE_SECONDS", 0.05)
    rig = Rig(Hanging())
    for entry in demo().entries:
        rig.telemetry.hear([entry])
    rig.telemetry.close()
    hanging.set()


def test_a_defect_ends_telemetry_and_nothing_else() -> None:
    rig = Rig()
    rig.telemetry.hear([replace(demo().entries[0], id="x")])  # type: ignore[arg-type]
    rig.telemetry._thread.join(WAIT_SECONDS)
    assert rig.trouble and rig.trouble[0].startswith("telemetry has ended: ")
    rig.telemetry.hear(demo().entries)


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        (
            {"OTEL_TRACES_EXPORTER": "zipkin"},
            "OTEL_TRACES_EXPORTER is 'zipkin'; telemetry knows otlp, console and none",
        ),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "x"}, "OTEL_METRICS_EXPORTER is 'x'"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}, "OTEL_EXPORTER_OTLP_PROTOCOL is 'http/json'"),
    ],
)
def test_a_wrong_variable_is_one_line(environ: dict[str, str], says: str) -> None:
    pytest.importorskip("opentelemetry.sdk.trace")
    with pytest.raises(UsageError) as caught:
        open_telemetry("x", lambda run_id: [], print, environ)
    assert says in str(caught.value) and "\n" not in str(caught.value)


# --- the real service ----------------------------------------------------------------------------------------------


def without_packages(folder: Path) -> str:
    (folder / "opentelemetry").mkdir()
    (folder / "opentelemetry" / "__init__.py").write_text("raise ImportError('not here', name='opentelemetry')")
    return str(folder)


def test_missing_packages_are_one_line(tmp_path: Path) -> None:
    stub = tmp_path / "stub"
    stub.mkdir()
    path = ":".join([without_packages(stub), *filter(None, sys.path)])
    project = Project(tmp_path)
    done = project.tape("server", TAPE_OTEL="1", PYTHONPATH=path)
    assert done.returncode == 2
    assert "pip install 'tape-agents[otel]'" in one_line(done)


def test_tape_yaml_says_so(tmp_path: Path) -> None:
    project = Project(tmp_path)
    assert load_config(project.folder, {}).telemetry == ""
    assert load_config(project.folder, {"TAPE_OTEL": "1"}).telemetry == "otel"
    with open(project.folder / "tape.yaml", "a") as file:
        file.write("telemetry: otel\n")
    assert load_config(project.folder, {}).telemetry == "otel"
    project.edit("tape.yaml", ("telemetry: otel", "telemetry: jaeger"))
    with pytest.raises(UsageError, match="'telemetry' cannot be 'jaeger'; write 'telemetry: otel', or leave it out"):
        load_config(project.folder, {})
