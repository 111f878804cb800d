"""What the guide on figures says that a collector gets, it gets: from its own tape.yaml, a real kill and a recovery."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.dev.harness import Project
from tests.docs.pages import ROOT, blocks
from tests.reactors.collector import collector

GUIDE = ROOT / "docs" / "guide" / "recovery-figures.md"
NOT_IN_THIS_RUN = {"tape.parent", "tape.source", "tape.questions", "tape.kind", "tape.yaml", "asked again", "stuck"} | {
    "write refused", "conflict", "gen_ai.request.model", "gen_ai.provider.name",
}  # fmt: skip


def test_the_names_of_the_page_arrive(tmp_path: Path) -> None:
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
    (config,) = blocks(GUIDE, "yaml")
    with collector() as got:
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": got.url, "PYTHONPATH": ":".join(filter(None, sys.path))}
        project = Project(tmp_path, environment=environment)
        (project.folder / "tape.yaml").write_text(config.text, "utf-8")
        try:
            project.server("server")
            assert project.tape("kill", "--at", "effect.acted").returncode == 0
            project.await_status(project.start_run())
        finally:
            project.close()
        spans, metrics = got.spans(), got.metrics()
    arrived = {name for span in spans for name in (span["name"], *span["attributes"], *span["events"])}
    arrived |= {*metrics} | {name for points in metrics.values() for point in points for name in point["attributes"]}
    text = GUIDE.read_text("utf-8")
    shown = set(re.findall(r"`((?:tape\.|gen_ai\.|error\.)[a-z_.]+)`", text))
    table = text.partition("| span |")[2].partition("| metric |")[0]
    shown |= {*re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)}
    events = table.partition("as events:")[2].partition(". A decision")[0]
    shown |= {*re.findall(r"`([^`]+)`", events)}
    assert len(shown) > 40
    assert shown - NOT_IN_THIS_RUN <= arrived
    assert arrived - shown <= {name for name in arrived if name not in metrics and name.startswith("tape.")}
