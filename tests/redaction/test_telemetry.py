"""What goes to a collector holds no argument, prompt, reply or secret, not even where a project hides nothing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.reactors.collector import collector
from tests.redaction.test_canary import CARD, TOKEN, WHOLE, open_shop

pytestmark = [pytest.mark.slow, pytest.mark.timeout(200)]


def test_no_byte_that_is_told_holds_what_was_said(tmp_path: Path) -> None:
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
    with collector() as got, open_shop(tmp_path, hides=False) as shop:
        shop.environment |= {
            "TAPE_OTEL": "1",
            "OTEL_EXPORTER_OTLP_ENDPOINT": got.url,
            "OTEL_BSP_SCHEDULE_DELAY": "50",
            "OTEL_METRIC_EXPORT_INTERVAL": "100",
            "PYTHONPATH": ":".join(filter(None, sys.path)),
        }
        shop.start()
        for task, point in (("pay", "effect.acted"), ("fail", "compensate.acted")):
            only = ["--tool", "charge"] if point == "effect.acted" else []
            shop.tape("kill", "--at", point, *only)
            shop.tape("run", "--input", f'"{task}"', "--wait")
        assert shop.server is not None
        shop.server.terminate()
        shop.server.wait(20)
        spans = got.spans()
        told = b"".join(body for _, body in got.bodies)
        journal = b"".join(path.read_bytes() for path in shop.journal.parent.glob("cards.db*"))
    assert {CARD.encode() in journal, TOKEN.encode() in journal} == {True}, "it was said, and is in the journal"
    assert sum(span["name"] == "invoke_agent shop" for span in spans) == 2
    failed = next(span for span in spans if span["failed"] and span["name"] == "execute_tool check")
    assert failed["attributes"]["error.type"] == "ValueError"
    assert any(span["attributes"].get("error.type") == "RuntimeError" for span in spans)
    for said in (WHOLE, b"asked with", b"not in stock", b"refund", b"Traceback"):
        assert said not in told, said
