"""The agents of the guide on retries and time limits, with a desk that fails for real."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.dev.harness import Project
from tests.docs.pages import ROOT
from tests.docs.test_your_own_agent import acts, killed_at, written_out

GUIDE = ROOT / "docs" / "guide" / "retries-and-timeouts.md"


@pytest.fixture(scope="module")
def tickets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    project = Project(tmp_path_factory.mktemp("tickets"))
    written_out(project, GUIDE)
    project.server()
    yield project
    project.close()


def failing(project: Project, *faults: dict[str, Any]) -> None:
    """The desk misbehaves like that from now on."""
    said = project.servers[0].await_line(r"stand-in desk at ")
    address = urlsplit(said.partition(" at ")[2].partition(",")[0])
    link = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
    link.request("POST", "/_faults", json.dumps(faults))
    assert link.getresponse().status == 200
    link.close()


def run(project: Project, agent: str, seat: str) -> tuple[dict[str, Any], dict[str, Any]]:
    done = project.tape("run", agent, "--input", json.dumps(seat), "--wait", "--json")
    facts = json.loads(done.stdout)
    dump = json.loads(project.tape("doctor", "--dump-run", facts["run"], "--json").stdout)
    (effect,) = dump["effects"]
    return facts, effect | {"bodies": [each for each in dump["attempts"] if each["what"] == "body"], "dump": dump}


@pytest.mark.parametrize("kind", ["fail_before", "fail_after", "lose_answer"])
def test_three_retries_are_four_calls_and_one_seat(tickets: Project, kind: str) -> None:
    before = acts(tickets, "desk")
    failing(tickets, {"kind": kind, "count": 3})
    facts, effect = run(tickets, "book", f"12A {kind}")
    assert (facts["status"], facts["result"]["body"]["seat"]) == ("TERMINAL", f"12A {kind}")
    assert (effect["status"], effect["attempts"], len(effect["bodies"])) == ("CONFIRMED", 4, 4)
    assert len(effect["dump"]["leases"]) == 1
    assert acts(tickets, "desk") == before + 1


def test_after_a_kill_it_is_one_call_more(tickets: Project) -> None:
    before = acts(tickets, "desk")
    failing(tickets, {"kind": "lose_answer", "count": 1})
    code, facts = killed_at(tickets, "effect.acted", "book", "14C", "--nth", "2")
    assert (code, facts["effects"][0]["attempts"]) == (0, 3)
    assert acts(tickets, "desk") == before + 1


def test_rejected_is_the_end_of_it(tickets: Project) -> None:
    facts, effect = run(tickets, "book", "")
    assert facts["result"] == {"refused": "reserve: Rejected: a seat has a name"}
    assert (effect["status"], effect["attempts"]) == ("FAILED", 1)


def test_over_its_time_is_unknown_and_found(tickets: Project) -> None:
    before = acts(tickets, "desk")
    failing(tickets)
    facts, effect = run(tickets, "rush", "slow")
    assert (facts["status"], list(facts["result"])) == ("TERMINAL", ["ticket"])
    assert (effect["status"], effect["resolution"], effect["attempts"]) == ("CONFIRMED", "observed", 1)
    assert acts(tickets, "desk") == before + 1


def test_the_page_is_linked() -> None:
    assert "(docs/guide/retries-and-timeouts.md)" in Path(ROOT / "README.md").read_text("utf-8")
    assert "(retries-and-timeouts.md)" in (ROOT / "docs" / "guide" / "your-own-agent.md").read_text("utf-8")
