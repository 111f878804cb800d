"""Saving the agent's code while `tape dev` runs: what is under way goes on with the new code, whatever was saved."""

from __future__ import annotations

import os
import re
from pathlib import Path

from tape.core.config import load_config
from tape.core.journal.views import open_reader
from tape.lab.service import Service
from tape.reactors.host import Voice
from tests.dev.harness import Project, Server, processes_of, wait_until

OLD, NEW = "The invoice is paid.", "Paid, says the new code."
IMPORT = "import tape\n"


def agents(project: Project) -> set[int]:
    return {pid for pid, command in processes_of(project.folder).items() if "tape.core.agent" in command}


def asks(project: Project, run_id: str) -> list[tuple[int, int]]:
    """Which decisions the model was asked for, and for the how many-th time."""
    with open_reader(project.folder / ".tape" / "dev.db") as reader:
        events = [entry.event for entry in reader.entries(run_id=run_id)]
    return [(event.index, event.asks) for event in events if event.kind == "model_asked"]


def ended(project: Project, run_id: str) -> str:
    return project.tape("doctor", "--dump-run", run_id).stdout


def await_reload(server: Server, count: int = 1) -> None:
    assert server.await_line("^reloaded:", count=count) == "reloaded: app/agent.py changed"


def test_a_run_in_flight_ends_on_the_new_code(project: Project) -> None:
    project.hold_at("acted")
    server = project.server()
    run_id = project.start_run()
    project.await_place("acted")
    before = agents(project)
    project.edit("app/agent.py", (OLD, NEW))
    await_reload(server)
    project.go_on("acted")
    run = project.await_status(run_id)
    assert (run.decisions, run.effects, run.drive) == (3, 1, 2)
    assert asks(project, run_id) == [(0, 1), (1, 1), (2, 1)]
    assert project.wires() == [f"{run_id}/1/0/wire_money"]
    assert NEW in ended(project, run_id)
    server.await_line("worker_died.*exit 0: the code has changed")
    wait_until(lambda: not agents(project) & before, "the old processes are gone")
    assert project.tape("doctor").returncode == 0


def test_idle_processes_are_replaced(project: Project) -> None:
    server = project.server()
    wait_until(lambda: len(agents(project)) == 2, "worker and spare")
    before = agents(project)
    project.edit("app/agent.py", (OLD, NEW))
    await_reload(server)
    wait_until(lambda: len(agents(project)) == 2 and not agents(project) & before, "two others")
    run_id = project.start_run()
    project.await_status(run_id)
    assert NEW in ended(project, run_id)
    assert not [line for line in server.err if line.startswith("trouble")]


def test_a_broken_save_is_told_and_the_next_good_one_goes_on(project: Project) -> None:
    server = project.server()
    project.edit("app/agent.py", (IMPORT, IMPORT + "def (\n"))
    said = server.await_line("^trouble:")
    assert re.search(r"app/agent\.py:9: app\.agent cannot be loaded: SyntaxError", said)
    await_reload(server)
    run_id = project.start_run()
    project.edit("app/agent.py", (OLD, NEW))  # still broken: the same trouble, and it is told again
    await_reload(server, count=2)
    server.await_line("^trouble:", count=2)
    assert project.run(run_id).status == "RUNNABLE"
    project.edit("app/agent.py", ("def (\n", ""))
    run = project.await_status(run_id)
    assert (run.decisions, run.effects, run.crashes) == (3, 1, 0)  # a save may be seen twice: then it was drained
    assert NEW in ended(project, run_id)
    await_reload(server, count=3)


def test_a_save_that_breaks_a_run_in_flight_loses_nothing(project: Project) -> None:
    project.hold_at("acted")
    server = project.server()
    run_id = project.start_run()
    project.await_place("acted")
    project.edit("app/agent.py", (IMPORT, IMPORT + "1 / 0\n"))
    await_reload(server)
    server.await_line("^trouble:.*ZeroDivisionError")
    project.go_on("acted")
    wait_until(lambda: project.run(run_id).status == "RUNNABLE", "it waits for code that can be loaded")
    project.edit("app/agent.py", ("1 / 0\n", ""))
    project.await_status(run_id)
    assert asks(project, run_id) == [(0, 1), (1, 1), (2, 1)]
    assert len(project.wires()) == 1


def test_a_save_that_ends_the_process_does_not_end_the_server(project: Project) -> None:
    server = project.server()
    project.edit("app/agent.py", (IMPORT, IMPORT + "raise SystemExit(3)\n"))
    await_reload(server)
    server.await_line(r"^trouble:.*before it is ready \(exit 3")
    run_id = project.start_run()
    project.edit("app/agent.py", ("raise SystemExit(3)\n", ""))
    project.await_status(run_id)
    assert server.process.poll() is None


def test_a_save_that_does_not_fit_the_tape_makes_the_run_stuck_until_it_is_mended(project: Project) -> None:
    project.hold_at("acted")
    server = project.server()
    run_id = project.start_run()
    project.await_place("acted")
    project.edit("app/agent.py", ('talk = [{"task": task}]', 'talk = [{"task": task.upper()}]'))
    await_reload(server)
    project.go_on("acted")
    run = project.await_status(run_id, "STUCK")
    assert "the code does not fit the tape" in run.error
    assert "PAY INVOICE 8" in run.error
    project.edit("app/agent.py", ("task.upper()", "task"), (OLD, NEW))
    await_reload(server, count=2)
    assert project.run(run_id).status == "STUCK"
    assert project.tape("redrive", run_id).returncode == 0
    run = project.await_status(run_id)
    assert (run.decisions, run.effects) == (3, 1)
    assert asks(project, run_id) == [(0, 1), (1, 1), (2, 1)]
    assert NEW in ended(project, run_id)
    assert len(project.wires()) == 1


def test_two_saves_within_a_second_are_two(project: Project) -> None:
    """Of the same size and in the same second, they look alike to a cached file of the first."""
    project.environment.pop("PYTHONDONTWRITEBYTECODE")
    server = project.server()
    second = int(project.agent_file.stat().st_mtime) + 10
    words = OLD
    for number in range(3):
        beside = project.agent_file.with_suffix(".tmp")
        beside.write_text(project.agent_file.read_text().replace(words, f"Number {number}."))
        words = f"Number {number}."
        os.utime(beside, ns=(0, second * 1_000_000_000 + number))
        beside.replace(project.agent_file)
        await_reload(server, count=number + 1)
        run_id = project.start_run()
        project.await_status(run_id)
        assert words in ended(project, run_id)


def test_a_server_without_a_person_does_not_reload(project: Project) -> None:
    server = project.server("server")
    server.await_line("worker_moved.* READY", count=2)  # both have loaded what there is now
    before = agents(project)
    project.edit("app/agent.py", (OLD, NEW))
    run_id = project.start_run()
    project.await_status(run_id)
    assert OLD in ended(project, run_id)
    assert agents(project) == before
    assert not [line for line in server.err if line.startswith("reloaded")]


def test_a_patient_service_starts_with_a_project_that_cannot_be_loaded(project: Project) -> None:
    project.edit("app/agent.py", (IMPORT, IMPORT + "import numpyx\n"))
    troubles: list[str] = []
    reloads: list[str] = []
    voice = Voice(trouble=troubles.append, reloaded=reloads.append)
    with Service(load_config(Path(project.folder), {}), voice=voice, reload=True, patient=True) as service:
        service.host.wait_ready()
        assert "No module named 'numpyx'" in (service.host.broken or "")
        run_id = service.host.start_run(None, "pay invoice 9")
        project.edit("app/agent.py", ("import numpyx\n", "import numpyy\n"))
        wait_until(lambda: "numpyy" in (service.host.broken or ""), "the other trouble")
        wait_until(lambda: len(reloads) == 1, "one save")
        service.host.check()
        project.edit("app/agent.py", ("import numpyy\n", ""))
        project.await_status(run_id)
        assert service.host.broken is None
        wait_until(lambda: len(reloads) == 2, "two saves")
    assert ["numpyx" in troubles[0], "numpyy" in troubles[1]] == [True, True]
    assert reloads == ["app/agent.py changed"] * 2
