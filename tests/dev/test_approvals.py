"""The template with a gate, a budget and an undo, as its user meets it: stories, proof, a person who answers."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dev.harness import Project, one_line, processes_of, wait_until

pytestmark = pytest.mark.slow
TASK = '"we are out of paper"'


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Project]:
    made = Project(tmp_path, "shop", template="approvals")
    yield made
    made.close()
    wait_until(lambda: not processes_of(made.folder), f"no process is left: {processes_of(made.folder)}", 10)


def acts(shop: Project, upstream: str) -> list[str]:
    """The collections of what stands in an upstream's own ledger, not undone."""
    ledger = shop.folder / ".tape" / f"{upstream}.jsonl"
    lines = [json.loads(line) for line in ledger.read_text("utf-8").splitlines()] if ledger.exists() else []
    undone = {line["id"] for line in lines if line["event"] == "undo"}
    return [line["collection"] for line in lines if line["event"] == "act" and line["id"] not in undone]


def waiting(shop: Project) -> str:
    run_id = shop.tape("run", "--input", TASK).stdout.strip()
    assert shop.await_status(run_id, "WAITING").waiting_on == "gate pay 0"
    return run_id


def test_its_stories_and_its_proof_hold(shop: Project) -> None:
    stories = shop.tape("scenario", "run")
    assert stories.returncode == 0, stories.stdout + stories.stderr
    assert "3 scenarios" in stories.stdout
    proved = shop.tape("prove", "--input", TASK, "--json", "-", seconds=110)
    assert proved.returncode == 0, proved.stdout + proved.stderr
    proof = json.loads(proved.stdout)
    assert proof["holds"] and proof["marks"]["missed"] == 0
    assert "gate.opened" in {place["point"] for place in proof["boundaries"]}
    assert {result["status"] for result in proof["results"]} == {"TERMINAL"}
    assert {result["acts"] for result in proof["results"]} == {2}, "one reservation and one wire"


def test_a_person_approves_and_the_agent_is_killed_on_its_way(shop: Project) -> None:
    shop.server()
    run_id = waiting(shop)
    assert acts(shop, "shop") == ["reservations"] and acts(shop, "bank") == []
    (before,) = [run for run in json.loads(shop.tape("status", run_id, "--json").stdout) if run["id"] == run_id]
    assert before["worker"] is None, "a run that waits costs no process"
    assert shop.tape("kill", "--run", run_id, "--at", "effect.acted").returncode == 0
    answered = shop.tape("answer", run_id, "pay", "approve", "--reason", "as agreed")
    assert answered.returncode == 0, answered.stderr
    shop.await_status(run_id)
    assert acts(shop, "bank") == ["wires"] and acts(shop, "shop") == ["reservations"]
    told = shop.tape("doctor", "--dump-run", run_id, "--json")
    gates = json.loads(told.stdout)["gates"]
    assert [(gate["status"], gate["answer"], gate["reason"]) for gate in gates] == [
        ("ANSWERED", "approve", "as agreed")
    ]
    late = shop.tape("answer", run_id, "pay", "deny")
    assert late.returncode == 1 and "has ended" in one_line(late)


def test_a_person_denies_and_what_was_reserved_is_given_back(shop: Project) -> None:
    server = shop.server()
    run_id = waiting(shop)
    os.kill(server.process.pid, signal.SIGKILL)  # and the server dies while it waits
    server.wait()
    denied = shop.tape("answer", run_id, "pay", "deny")
    assert denied.returncode == 0 and "recorded" in denied.stderr
    shop.server()
    shop.await_status(run_id, "FAILED")
    assert acts(shop, "bank") == [] and acts(shop, "shop") == []
    assert "Declined: deny" in shop.run(run_id).error
