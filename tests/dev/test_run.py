"""`tape run`: a durable id with or without a server, one run per key, and waiting for the end."""

from __future__ import annotations

import json
import re
import signal
from concurrent.futures import ThreadPoolExecutor

from tests.dev.harness import Project, one_line

ID = r"r-[0-9a-z]{12}"
RECORDED = "recorded; start `tape dev` to drive it\n"


def test_waiting_for_a_run_that_a_server_drives(project: Project) -> None:
    project.server()
    done = project.tape("run", "treasury", "--input", '"pay invoice 8"', "--wait")
    assert done.returncode == 0
    run_id = done.stdout.strip()
    assert re.fullmatch(ID, run_id)
    assert done.stderr == f"{run_id} ✓ TERMINAL decisions=3 effects=1\n"


def test_waiting_in_json(project: Project) -> None:
    project.server()
    done = project.tape("run", "--input", '"pay invoice 8"', "--wait", "--json")
    facts = json.loads(done.stdout)
    assert re.fullmatch(ID, facts.pop("run"))
    assert facts == {"status": "TERMINAL", "error": "", "result": "The invoice is paid."}
    assert done.returncode == 0


def test_without_a_server_it_is_recorded_and_waiting_says_what_to_do(project: Project) -> None:
    done = project.tape("run", "--input", '"pay invoice 8"')
    assert (done.returncode, done.stderr) == (0, RECORDED)
    first = done.stdout.strip()
    done = project.tape("run", "--input", '"pay invoice 9"', "--wait")
    assert done.returncode == 3
    second = done.stdout.strip()
    assert done.stderr == RECORDED + f"tape: {second} is recorded, but no server runs to drive it: start `tape dev`\n"
    assert [(run.id, run.status) for run in project.runs()] == [(second, "RUNNABLE"), (first, "RUNNABLE")]
    project.server()
    for run_id in (first, second):
        project.await_status(run_id)
    assert len(project.wires()) == 2


def test_a_key_gives_one_run(project: Project) -> None:
    asked = ("run", "--input", '"pay invoice 8"', "--key", "invoice-8")
    first = project.tape(*asked).stdout
    assert project.tape(*asked).stdout == first
    other = project.tape("run", "--input", '"pay invoice 9"', "--key", "invoice-8")
    assert other.returncode == 1
    assert "the start key invoice-8 was used for" in one_line(other)
    project.server()
    project.await_status(first.strip())
    assert project.tape(*asked, "--wait").stdout == first
    assert len(project.runs()) == len(project.wires()) == 1


def test_a_key_asked_for_by_many_at_once_gives_one_run(project: Project) -> None:
    project.server()
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(project.tape, "run", "--input", '"x"', "--key", "k", "--wait") for _ in range(6)]
        done = [future.result() for future in asked]
    assert {(one.returncode, one.stderr.count("TERMINAL")) for one in done} == {(0, 1)}
    assert len({one.stdout for one in done}) == 1
    assert len(project.runs()) == len(project.wires()) == 1


def test_a_run_that_fails_exits_with_one(project: Project) -> None:
    project.edit("app/agent.py", ('    return report["say"]', '    raise ValueError("no such invoice")'))
    project.server()
    done = project.tape("run", "--input", '"x"', "--wait", "--json")
    facts = json.loads(done.stdout)
    assert (done.returncode, facts["status"], facts["result"]) == (1, "FAILED", None)
    assert "no such invoice" in facts["error"]


def test_a_run_that_only_a_person_can_settle_exits_with_one_and_names_the_commands(project: Project) -> None:
    project.hold_at("acted")
    project.edit("app/agent.py", ("@wire_money.observe\n", ""))
    project.server()
    run_id = project.start_run()
    project.await_place("acted")
    assert project.tape("kill").returncode == 0
    project.await_status(run_id, "STUCK")
    shown = project.tape("status", run_id).stdout
    key = f"{run_id}/1/0/wire_money"
    for how in ("--confirm JSON", "--fail", "--retry"):
        assert re.search(rf"^  tape resolve {key} {how}", shown, re.M), shown
    wire = json.dumps({"wire_id": "wires-1", "to": "ACME", "amount_minor": 12500})
    done = project.tape("resolve", key, "--confirm", wire, "--reason", "seen in the bank")
    assert done.returncode == 0
    run = project.await_status(run_id)
    assert (run.decisions, run.effects) == (3, 1)
    assert project.wires() == [key]


def test_waiting_survives_the_death_of_the_server(project: Project) -> None:
    project.hold_at("acted")
    server = project.server()
    waiting = project.server("run", "--input", '"pay invoice 8"', "--wait", ready=False)
    waiting.await_line(f"^{ID}$")
    project.await_place("acted")
    server.kill()
    waiting.await_line("no server runs any more: start `tape dev`")
    project.go_on("acted")
    project.server()
    assert waiting.wait() == 0
    assert len(project.wires()) == 1


def test_interrupted_waiting_leaves_the_run_alone(project: Project) -> None:
    project.hold_at("acted")
    project.server()
    waiting = project.server("run", "--input", '"pay invoice 8"', "--wait", ready=False)
    run_id = waiting.await_line(f"^{ID}$")
    project.await_place("acted")
    waiting.send(signal.SIGINT)
    assert waiting.wait() == 130
    assert waiting.err == []
    project.go_on("acted")
    assert project.await_status(run_id).drive == 1
