"""An OTLP/HTTP collector for tests: keeps what it gets, as the protocol's own messages; or hangs, or says no."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Got:
    """`bodies` as they came; `status` is what is answered; while `hold` is set nobody gets an answer."""

    url: str = ""
    bodies: list[tuple[str, bytes]] = field(default_factory=list)
    status: int = 200
    hold: threading.Event = field(default_factory=threading.Event)
    came: threading.Event = field(default_factory=threading.Event)

    def spans(self) -> list[dict[str, Any]]:
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        found = []
        for path, body in self.bodies:
            if path == "/v1/traces":
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    for scope in resource.scope_spans:
                        found += [_span(span, resource.resource) for span in scope.spans]
        return found

    def metrics(self) -> dict[str, list[dict[str, Any]]]:
        """The last points of each metric: they are cumulative."""
        from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

        found: dict[str, list[dict[str, Any]]] = {}
        for path, body in self.bodies:
            if path == "/v1/metrics":
                for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                    for scope in resource.scope_metrics:
                        for metric in scope.metrics:
                            data = getattr(metric, metric.WhichOneof("data"))
                            found[metric.name] = [_point(point, metric.unit) for point in data.data_points]
        return found


def _attributes(message: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in message.attributes}


def _span(span: Any, resource: Any) -> dict[str, Any]:
    return {
        "name": span.name,
        "kind": span.kind,
        "trace": span.trace_id.hex(),
        "id": span.span_id.hex(),
        "parent": span.parent_span_id.hex(),
        "failed": span.status.code == 2,
        "attributes": _attributes(span),
        "events": {event.name: _attributes(event) for event in span.events},
        "service": _attributes(resource)["service.name"],
    }


def _point(point: Any, unit: str) -> dict[str, Any]:
    has_sum = hasattr(point, "bucket_counts")
    value = point.sum if has_sum else getattr(point, point.WhichOneof("value"))
    return {"value": value, "unit": unit, "attributes": _attributes(point)} | (
        {"bounds": [*point.explicit_bounds], "count": point.count} if has_sum else {}
    )


@contextlib.contextmanager
def collector() -> Iterator[Got]:
    got = Got()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.came.set()
            if got.hold.is_set():
                going_on.wait(60)
                return
            if got.status == 200:
                got.bodies.append((self.path, body))
            self.send_response(got.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    going_on = threading.Event()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    got.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield got
    finally:
        going_on.set()
        server.shutdown()
        server.server_close()
        thread.join()
