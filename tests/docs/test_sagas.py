"""The agents of the guide on outbox and sagas: run, killed, and judged by the shop's own ledger."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dev.harness import Project, wait_until
from tests.docs.pages import ROOT
from tests.docs.test_your_own_agent import written_out

GUIDE = ROOT / "docs" / "guide" / "sagas-and-outbox.md"


@pytest.fixture(scope="module")
def journeys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    project = Project(tmp_path_factory.mktemp("journeys"))
    written_out(project, GUIDE)
    project.server()
    yield project
    project.close()


def run(project: Project, agent: str, given: object) -> dict:
    done = project.tape("run", agent, "--input", json.dumps(given), "--wait", "--json")
    return json.loads(done.stdout)


def ledger(project: Project) -> list[dict]:
    path: Path = project.folder / ".tape" / "shop.jsonl"
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


def standing(project: Project, collection: str, run_id: str) -> list[dict]:
    events = ledger(project)
    undone = {event["id"] for event in events if event["event"] != "act"}
    return [
        event["body"]
        for event in events
        if event["event"] == "act"
        and event["collection"] == collection
        and event["key"].startswith(run_id)
        and event["id"] not in undone
    ]


@pytest.mark.parametrize("point", [None, "effect.begun", "dispatch.started", "dispatch.acted"])
def test_both_mails_are_sent_once_and_in_order(journeys: Project, point: str | None) -> None:
    if point is not None:
        assert journeys.tape("kill", "--at", point, "--tool", "send_mail", "--nth", "2").returncode == 0
    facts = run(journeys, "order", "ada")
    assert (facts["status"], facts["result"]) == ("TERMINAL", "ada -/1/send_mail")
    wait_until(lambda: len(standing(journeys, "mails", facts["run"])) == 2, "both mails are sent")
    assert [mail["text"] for mail in standing(journeys, "mails", facts["run"])] == ["thank you", "how was it?"]


def test_a_dead_letter_is_shown_and_settled(journeys: Project) -> None:
    assert journeys.tape("kill", "--at", "dispatch.acted", "--tool", "send_letter").returncode == 0
    facts = run(journeys, "invite", ["ada", "bob"])
    assert (facts["status"], facts["result"]) == ("TERMINAL", 2)
    run_id = facts["run"]
    wait_until(lambda: len(standing(journeys, "letters", run_id)) == 2, "both letters are posted")
    key = f"{run_id}/-/0/send_letter"
    wait_until(lambda: key in journeys.tape("status", run_id).stdout, "the letter is shown")
    assert f"tape resolve {key} --confirm JSON" in journeys.tape("status", run_id).stdout
    assert "1 dead letter: see `tape doctor`" in journeys.tape("status").stdout
    doctor = journeys.tape("doctor").stdout
    assert "dead letter" in doctor and key in doctor
    decided = journeys.tape("resolve", key, "--confirm", '{"id": "letters-1"}', "--reason", "it arrived")
    assert (decided.returncode, decided.stdout) == (0, f"{run_id} TERMINAL\n")
    assert key not in journeys.tape("status", run_id).stdout
    assert "dead letter" not in journeys.tape("doctor").stdout


@pytest.mark.parametrize("killed", [False, True])
def test_a_journey_that_fails_is_given_back(journeys: Project, killed: bool) -> None:
    if killed:
        assert journeys.tape("kill", "--at", "compensate.acted").returncode == 0
    facts = run(journeys, "travel", "Atlantis")
    assert (facts["status"], facts["error"]) == ("FAILED", "RuntimeError: nobody can go there")
    assert standing(journeys, "bookings", facts["run"]) == []
    undone = [event["id"] for event in ledger(journeys) if event["event"] != "act"]
    mine = [
        event["id"] for event in ledger(journeys) if event["event"] == "act" and event["key"].startswith(facts["run"])
    ]
    assert [one for one in dict.fromkeys(undone) if one in mine] == mine[::-1], "newest first"


def test_one_act_is_undone_by_order(journeys: Project) -> None:
    started = journeys.tape("run", "travel", "--input", '"Lisbon"', "--json")
    run_id = json.loads(started.stdout)["run"]
    key = f"{run_id}/-/1/book"
    wait_until(lambda: len(standing(journeys, "bookings", run_id)) == 3, "all is booked")
    journeys.await_status(run_id, "WAITING")
    ordered = journeys.tape("resolve", key, "--undo", "--reason", "they stay with friends")
    assert ordered.returncode == 0, ordered.stderr
    journeys.await_status(run_id, "TERMINAL")
    assert [booking["what"] for booking in standing(journeys, "bookings", run_id)] == [
        "flight to Lisbon",
        "car to Lisbon",
    ]
    late = journeys.tape("resolve", key, "--undo", "--reason", "again")
    assert (late.returncode, late.stdout) == (1, "")
    assert f"{run_id} has ended (TERMINAL)" in late.stderr
    none = journeys.tape("resolve", key, "--close", "--reason", "x")
    assert none.returncode == 1 and "has no open conflict" in none.stderr
