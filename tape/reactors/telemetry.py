"""Runs as OpenTelemetry spans and metrics, for `telemetry: otel` in tape.yaml or TAPE_OTEL=1. Loaded only then.

The server hands over entries and goes on: whatever is slow here (an exporter, a collector that is away) is slow on
threads of its own. What it cannot keep up with is left out; from then on runs are read from the journal again.
Where things go is said by the standard OTEL_* variables. The packages are an extra, so their types are not known here.
"""

from __future__ import annotations

import hashlib
import os
import queue
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from tape.core.figures import Crash, Figuring
from tape.core.kernel.errors import TapeError, UsageError
from tape.core.kernel.events import Entry
from tape.reactors.collector import Collector, quieten
from tape.reactors.spans import ERROR_TYPE, OPERATION, TOKENS_IN, TOKENS_OUT, Operation, RunTrace, Span

MOST_WAITING = 10_000
CLOSE_SECONDS = 2.0
CLOSE_SECONDS_WITHOUT = 0.2
"""If nobody takes what is told."""
SAMPLED = 1
_RECOVERY_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600)
_MODEL_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_TOKENS = tuple(4**power for power in range(14))
"""Bounds of histograms; the packages' own are for milliseconds. The last two are the conventions'."""
MISSING = (
    "telemetry needs packages that are not installed ({name}): pip install 'tape-agents[otel]', or take `telemetry` "
    "out of tape.yaml and TAPE_OTEL out of the environment"
)
_EXPORTERS = {"http/protobuf": "http", "grpc": "grpc"}
History = Callable[[str], Sequence[Entry]]


@dataclass(slots=True)
class _Ids:
    """Ids from the run's own, so that a server that takes a run up goes on with its trace."""

    trace: int = 0
    span: int = 0

    def of(self, span: Span) -> None:
        self.trace = trace_id(span.run_id)
        self.span = span_id(span.run_id, span.what)

    def generate_trace_id(self) -> int:
        return self.trace

    def generate_span_id(self) -> int:
        return self.span

    def is_trace_id_random(self) -> bool:
        return False


def trace_id(run_id: str) -> int:
    return int.from_bytes(hashlib.sha256(run_id.encode()).digest()[:16], "big") or 1


def span_id(run_id: str, what: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{run_id} {what}".encode()).digest()[16:24], "big") or 1


@dataclass(slots=True)
class _Followed:
    """One run that is not over, and what has been counted of it."""

    trace: RunTrace
    figuring: Figuring = field(default_factory=Figuring)
    last_id: int = 0
    crashes: set[tuple[int, str, bool]] = field(default_factory=lambda: set())
    recovered: set[tuple[int, str, bool]] = field(default_factory=lambda: set())
    prevented: int = 0
    repeated: int = 0
    questions: int = 0


class Telemetry:
    """`hear` is called from one thread, and never waits. `history` reads a run that is not known yet."""

    def __init__(self, traces: Any, metrics: Any, ids: _Ids, history: History, collector: Collector) -> None:
        self._traces, self._metrics, self._ids = traces, metrics, ids
        self._history = history
        self._collector = collector
        self._trouble = collector.trouble
        self._tracer = traces.get_tracer("tape")
        meter = metrics.get_meter("tape")
        self._crashes = meter.create_counter("tape.crashes", unit="{crash}", description="deaths of runs' drivers")
        self._seconds = meter.create_histogram(
            "tape.recovery.duration",
            unit="s",
            description="from a death to the run's first new record",
            explicit_bucket_boundaries_advisory=_RECOVERY_SECONDS,
        )
        self._prevented = meter.create_counter(
            "tape.second_acts_prevented", unit="{act}", description="acts that a blind retry would have done again"
        )
        self._repeated = meter.create_counter(
            "tape.asks_repeated", unit="{ask}", description="questions asked again because the reply was lost"
        )
        self._questions = meter.create_counter(
            "tape.questions", unit="{question}", description="what only a person could answer"
        )
        self._tokens = meter.create_histogram(
            "gen_ai.client.token.usage",
            unit="{token}",
            description="number of input and output tokens used",
            explicit_bucket_boundaries_advisory=_TOKENS,
        )
        self._asked = meter.create_histogram(
            "gen_ai.client.operation.duration",
            unit="s",
            description="from a question to the model to its recorded reply",
            explicit_bucket_boundaries_advisory=_MODEL_SECONDS,
        )
        self._heard: queue.Queue[tuple[bool, list[Entry]] | None] = queue.Queue(MOST_WAITING)
        self._missed = False
        self._runs: dict[str, _Followed] = {}
        self._thread = threading.Thread(target=self._loop, name="telemetry", daemon=True)
        self._thread.start()

    def hear(self, entries: list[Entry]) -> None:
        if not entries:
            return
        try:
            self._heard.put_nowait((self._missed, entries))
            self._missed = False
        except queue.Full:
            self._missed = True

    def close(self) -> None:
        """Says what is left: for some seconds at most, and hardly any if nobody takes it."""

        def shut_down() -> None:
            self._heard.put(None)
            self._thread.join()
            self._traces.shutdown()
            self._metrics.shutdown()

        closing = threading.Thread(target=shut_down, name="telemetry-close", daemon=True)
        closing.start()
        closing.join(CLOSE_SECONDS_WITHOUT if self._collector.away else CLOSE_SECONDS)

    # --- on its own thread ------------------------------------------------------------------------------------

    def _loop(self) -> None:
        while (heard := self._heard.get()) is not None:
            missed, entries = heard
            if missed:
                self._runs.clear()  # none of them is whole any more: each is read again when it goes on
            try:
                self._take(entries)
            except Exception as error:  # nobody foresaw it: a server without telemetry is still a server
                self._trouble(f"telemetry has ended: {type(error).__name__}: {error}")
                return

    def _take(self, entries: Sequence[Entry]) -> None:
        changed: dict[str, None] = {}
        for entry in entries:
            if entry.run_id is not None:
                followed = self._runs.get(entry.run_id) or self._follow(entry)
                self._add(followed, entry)
                changed[entry.run_id] = None
        for run_id in changed:
            followed = self._runs[run_id]
            self._count(followed, told=False)
            if followed.trace.over:
                del self._runs[run_id]

    def _follow(self, entry: Entry) -> _Followed:
        """A run that is not known yet: what stands in the journal before this entry was told already."""
        run_id = entry.run_id or ""
        followed = self._runs[run_id] = _Followed(RunTrace(run_id))
        if entry.event.kind != "run_started":
            try:
                earlier = [known for known in self._history(run_id) if known.id < entry.id]
            except TapeError as error:
                self._trouble(f"telemetry: {run_id}: {error}")
                earlier = []
            for known in earlier:
                followed.trace.take(known)
            followed.figuring.add(earlier)
            self._count(followed, told=True)
        return followed

    def _add(self, followed: _Followed, entry: Entry) -> None:
        if entry.id <= followed.last_id:
            return
        followed.last_id = entry.id
        followed.figuring.add([entry])
        span = followed.trace.take(entry)
        if span is not None:
            self._tell(span)
            if span.operation is Operation.DECISION:
                self._count_decision(span)

    def _tell(self, span: Span) -> None:
        api = import_module("opentelemetry.trace")
        self._ids.of(span)
        context: Any = import_module("opentelemetry.context").Context()
        if span.what:
            above = api.SpanContext(
                trace_id(span.run_id), span_id(span.run_id, ""), False, api.TraceFlags(self._flags(span.run_id))
            )
            context = api.set_span_in_context(api.NonRecordingSpan(above), context)
        kind = api.SpanKind.CLIENT if span.operation is Operation.DECISION else api.SpanKind.INTERNAL
        started = self._tracer.start_span(
            span.name, context=context, kind=kind, start_time=span.start_us * 1000, attributes=dict(span.attributes)
        )
        for happening in span.happenings:
            started.add_event(happening.name, dict(happening.attributes), timestamp=happening.at_us * 1000)
        if span.failed:
            started.set_status(api.StatusCode.ERROR)
        started.end(end_time=max(span.start_us, span.end_us) * 1000)

    def _flags(self, run_id: str) -> int:
        """What the sampler says of the run's own span, which may be told much later than those below it."""
        sampler = getattr(self._traces, "sampler", None)
        if sampler is None:
            return SAMPLED
        return SAMPLED if sampler.should_sample(None, trace_id(run_id), "run").decision.is_sampled() else 0

    # --- metrics ------------------------------------------------------------------------------------------------

    def _count_decision(self, span: Span) -> None:
        about = {name: span.attributes[name] for name in (OPERATION, "tape.function")}
        for way, tokens in (("input", TOKENS_IN), ("output", TOKENS_OUT)):
            if span.attributes[tokens]:  # nothing was reported: unknown, and not zero
                self._tokens.record(span.attributes[tokens], {**about, "gen_ai.token.type": way})
        failed = {ERROR_TYPE: span.attributes[ERROR_TYPE]} if span.failed else {}
        self._asked.record((span.end_us - span.start_us) / 1_000_000, {**about, **failed})

    def _count(self, followed: _Followed, *, told: bool) -> None:
        """Adds what is new since the last time; `told`: it is known, and counts nowhere."""
        recovery = followed.figuring.figures()
        if not recovery:
            return
        for crash in recovery.crashes:
            self._count_crash(followed, crash, told)
        prevented, repeated = recovery.second_acts_prevented, recovery.asks_repeated
        if not told:
            self._prevented.add(max(0, prevented - followed.prevented))
            self._repeated.add(max(0, repeated - followed.repeated))
            for question in recovery.questions[followed.questions :]:
                self._questions.add(1, {"tape.kind": question.kind})
        followed.prevented, followed.repeated = max(prevented, followed.prevented), max(repeated, followed.repeated)
        followed.questions = len(recovery.questions)

    def _count_crash(self, followed: _Followed, crash: Crash, told: bool) -> None:
        name = (crash.at_us, crash.point, crash.hook)
        about = {"tape.point": crash.point, "tape.death": crash.death, "tape.hook": crash.hook}
        if crash.known_us is not None and name not in followed.crashes:
            followed.crashes.add(name)
            if not told:
                self._crashes.add(1, about)
        if crash.first_record_us is not None and name not in followed.recovered:
            followed.recovered.add(name)
            if not told:
                self._seconds.record(crash.first_record_us / 1_000_000, about)


# --- the packages -------------------------------------------------------------------------------------------------


def open_telemetry(
    service: str, history: History, trouble: Callable[[str], None], environ: Mapping[str, str] = os.environ
) -> Telemetry:
    """Raises UsageError, in one line, if the packages are missing or a variable names an exporter that is not known."""
    trace, metrics = _module("opentelemetry.sdk.trace"), _module("opentelemetry.sdk.metrics")
    spans, readers = _module("opentelemetry.sdk.trace.export"), _module("opentelemetry.sdk.metrics.export")
    resources = _module("opentelemetry.sdk.resources")
    resource = resources.Resource.create({} if environ.get("OTEL_SERVICE_NAME") else {"service.name": service})
    collector = Collector(trouble)
    quieten(collector)
    ids = _Ids()
    # Nothing at exit: `close` has a limit of its own, and the packages' would wait for a collector that is away.
    traces = trace.TracerProvider(resource=resource, id_generator=ids, shutdown_on_exit=False)
    exporter = _exporter("TRACES", environ)
    if exporter is not None:
        traces.add_span_processor(spans.BatchSpanProcessor(collector.watch(exporter)))
    meter = _exporter("METRICS", environ)
    found = [] if meter is None else [readers.PeriodicExportingMetricReader(collector.watch(meter))]
    told = metrics.MeterProvider(found, resource=resource, shutdown_on_exit=False)
    return Telemetry(traces, told, ids, history, collector)


def _exporter(signal: str, environ: Mapping[str, str]) -> Any:
    """What OTEL_TRACES_EXPORTER or OTEL_METRICS_EXPORTER asks for: otlp (the usual), console, none."""
    variable = f"OTEL_{signal}_EXPORTER"
    wanted = environ.get(variable, "").strip() or "otlp"
    noun, package = {"TRACES": ("Span", "trace"), "METRICS": ("Metric", "metric")}[signal]
    if wanted == "none":
        return None
    if wanted == "console":
        kind = "trace" if signal == "TRACES" else "metrics"
        return getattr(_module(f"opentelemetry.sdk.{kind}.export"), f"Console{noun}Exporter")(out=sys.stderr)
    if wanted != "otlp":
        raise UsageError(f"{variable} is {wanted!r}; telemetry knows otlp, console and none")
    usual = environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "").strip() or "http/protobuf"
    protocol = environ.get(f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL", "").strip() or usual
    if protocol not in _EXPORTERS:
        raise UsageError(f"OTEL_EXPORTER_OTLP_PROTOCOL is {protocol!r}; telemetry knows http/protobuf and grpc")
    module = _module(f"opentelemetry.exporter.otlp.proto.{_EXPORTERS[protocol]}.{package}_exporter")
    return getattr(module, f"OTLP{noun}Exporter")()


def _module(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise UsageError(MISSING.format(name=error.name or name)) from None
