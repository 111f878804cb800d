"""`tape scenario record`: what just happened to a run becomes a file that plays it again."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tape.lab.scenario import How, Verb
from tape.lab.scenario_file import read_scenario
from tests.dev.harness import Project, one_line, wait_until

LOOK_UP = (
    ('@tape.tool(semantics="non_idempotent", authoritative=True, settle_delay=0.2)', "@tape.tool"),
    ("@wire_money.observe\n", ""),
)
BAD_RELEASE = (
    ('wire = await wire_money(**order["call"])', 'wire = await wire_money(**order["call"] | {"to": to_whom(run)})'),
    (
        "@tape.agent\n",
        'def to_whom(run: tape.Run) -> str:\n    return "EMCA" if run.drive == 2 else "ACME"\n\n\n@tape.agent\n',
    ),
)


@pytest.fixture
def ready(project: Project) -> Iterator[Project]:
    project.edit("tape.yaml", ("backoff: 1s..60s", "backoff: 50ms..1s"))
    yield project


def recorded(project: Project, run_id: str) -> Any:
    """The scenario that was written, which plays green, with nothing added by hand."""
    done = project.tape("scenario", "record", run_id)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"scenarios/{run_id}.yaml\n"
    file = project.folder / "scenarios" / f"{run_id}.yaml"
    project.close()
    again = project.tape("scenario", "run", str(file.relative_to(project.folder)))
    assert again.returncode == 0, again.stdout + file.read_text()
    return read_scenario(file)


def ordered(project: Project, *arguments: str) -> None:
    done = project.tape(*arguments)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("point", ["decision.replied", "effect.acted", "effect.ended"])
def test_a_death_at_an_armed_point(ready: Project, point: str) -> None:
    ready.server()
    ordered(ready, "kill", "--at", point)
    run_id = ready.start_run()
    ready.await_status(run_id)
    told = recorded(ready, run_id)
    assert [kill.at for kill in told.kill] == [point]
    assert told.input == "pay invoice 8"
    assert told.expect.keyed["bank.wires"].holds(1) and not told.expect.keyed["bank.wires"].holds(2)


@pytest.mark.parametrize(("place", "point"), [("before", "effect.begun"), ("acted", "effect.acted")])
def test_a_death_that_nobody_had_armed(ready: Project, place: str, point: str) -> None:
    """SIGKILL from outside, inside the tool: put at the boundary that comes nearest."""
    ready.hold_at(place)
    ready.server()
    run_id = ready.start_run()
    ready.await_place(place)
    os.kill(int((ready.folder / f"at-{place}").read_text()), signal.SIGKILL)
    ready.go_on(place)
    ready.await_status(run_id)
    told = recorded(ready, run_id)
    assert [kill.at for kill in told.kill] == [point]
    assert told.about == "The agent died where nobody had armed a point; the nearest boundary stands for it."


@pytest.mark.parametrize("how", [How.CONFIRM, How.FAIL, How.RETRY])
def test_a_person_s_decision(ready: Project, how: How) -> None:
    ready.edit("app/agent.py", *LOOK_UP)
    ready.server()
    ordered(ready, "kill", "--at", "effect.acted")
    run_id = ready.start_run()
    ready.await_status(run_id, "STUCK")
    word = ["--confirm", '{"wire_id": "w-1"}'] if how is How.CONFIRM else [f"--{how}"]
    ordered(ready, "resolve", f"{run_id}/1/0/wire_money", *word, "--reason", "I have looked")
    wait_until(lambda: ready.run(run_id).status in ("TERMINAL", "FAILED"), "it comes to an end")
    told = recorded(ready, run_id)
    (order,) = told.orders
    assert (order.on, order.do, order.how, order.key) == ("STUCK", Verb.RESOLVE, how, "1/0/wire_money")
    assert order.reason == "I have looked"
    if how is How.CONFIRM:
        assert order.result == {"wire_id": "w-1"}


def test_a_redrive(ready: Project) -> None:
    ready.edit("app/agent.py", *BAD_RELEASE)
    ready.server()
    ordered(ready, "kill", "--at", "effect.ended")
    run_id = ready.start_run()
    ready.await_status(run_id, "STUCK")
    ordered(ready, "redrive", run_id, "--reason", "rolled back")
    ready.await_status(run_id)
    told = recorded(ready, run_id)
    assert [(order.on, order.do, order.reason) for order in told.orders] == [("STUCK", Verb.REDRIVE, "rolled back")]
    assert told.expect.leases.holds(3)


def test_a_freeze_and_a_thaw(ready: Project) -> None:
    ready.edit("tape.yaml", ("{ttl: 15s, heartbeat: 5s, stall: 60s}", "{ttl: 1s, heartbeat: 200ms, stall: 60s}"))
    ready.server()
    ordered(ready, "kill", "--at", "effect.acted", "--signal", "STOP")
    run_id = ready.start_run()
    ready.await_status(run_id)
    ordered(ready, "thaw")
    wait_until(lambda: "write_refused" in ready.kinds(run_id), "the late write is refused")
    told = recorded(ready, run_id)
    assert [(order.on, order.do) for order in told.orders] == [
        ("point_reached", Verb.ADVANCE),
        ("TERMINAL", Verb.THAW),
    ]
    assert not told.expect.refused.holds(0)


def test_a_run_without_a_death(ready: Project) -> None:
    ready.server()
    run_id = ready.start_run()
    ready.await_status(run_id)
    told = recorded(ready, run_id)
    assert not told.kill and not told.orders and told.expect.leases.holds(1)


# --- where to, and bad use --------------------------------------------------------------------------------------------


@pytest.fixture
def ended(ready: Project) -> str:
    ready.server()
    run_id = ready.start_run()
    ready.await_status(run_id)
    return run_id


def test_where_it_is_written(ready: Project, ended: str, tmp_path: Path) -> None:
    printed = ready.tape("scenario", "record", ended, "--to", "-")
    assert printed.returncode == 0 and printed.stdout.startswith(f"name: what happened to {ended}\n")
    there = tmp_path / "new" / "folder" / "mine.yaml"
    done = ready.tape("scenario", "record", ended, "--to", str(there))
    assert done.returncode == 0 and there.read_text() == printed.stdout
    assert not (ready.folder / "scenarios" / f"{ended}.yaml").exists()


def test_what_is_there_is_not_overwritten(ready: Project, ended: str) -> None:
    mine = ready.folder / "mine.yaml"
    mine.write_text("mine\n")
    done = ready.tape("scenario", "record", ended, "--to", "mine.yaml")
    assert done.returncode == 2
    assert one_line(done) == "tape: mine.yaml is there already: choose another one with --to"
    assert mine.read_text() == "mine\n"


def test_a_folder_that_cannot_be(ready: Project, ended: str) -> None:
    done = ready.tape("scenario", "record", ended, "--to", "tape.yaml/mine.yaml")
    assert done.returncode == 2
    assert "tape.yaml/mine.yaml" in one_line(done)


@pytest.mark.parametrize("run_id", ["r-0123456789ab", "nonsense", "../../etc/passwd"])
def test_an_unknown_run(ready: Project, ended: str, run_id: str) -> None:
    done = ready.tape("scenario", "record", run_id)
    assert done.returncode in (1, 2)
    assert run_id in one_line(done)
    assert not (ready.folder / "scenarios" / f"{run_id}.yaml").exists()


def test_no_journal(ready: Project) -> None:
    done = ready.tape("scenario", "record", "r-0123456789ab")
    assert done.returncode == 3
    assert "no journal at" in one_line(done)


def test_a_run_that_is_under_way(ready: Project) -> None:
    ready.hold_at("before")
    ready.server()
    run_id = ready.start_run()
    ready.await_place("before")
    before = time.monotonic()
    done = ready.tape("scenario", "record", run_id)
    assert time.monotonic() - before < 30
    assert done.returncode == 2
    assert one_line(done) == f"tape: {run_id} is RUNNING: record it when it has come to rest"
    ready.go_on("before")
    ready.await_status(run_id)
