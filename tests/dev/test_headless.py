"""`tape dev --headless` and `tape server`: signals, deaths of agent and server, and what the next start makes of it."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess

import pytest

from tests.dev.harness import TAPE, Project, masked, one_line, processes_of, wait_until


def agent_at(project: Project, place: str) -> int:
    """The pid of the agent that stands at `place` in its tool's body."""
    project.await_place(place)
    wait_until(lambda: (project.folder / f"at-{place}").read_text(), "its pid is written")
    return int((project.folder / f"at-{place}").read_text())


def test_it_says_where_the_stand_in_is_and_what_ctrl_c_does(project: Project) -> None:
    server = project.server()
    assert re.fullmatch(r"stand-in bank at http://127\.0\.0\.1:\d+, ledger .*/\.tape/bank\.jsonl", server.err[0])
    assert server.err[1:] == ["ready; Ctrl-C kills the agent, twice within two seconds stops everything"]
    run_id = project.start_run()
    project.await_status(run_id)
    server.await_line(rf"{run_id} ✓ run_moved  RUNNING to TERMINAL")
    assert len(server.err) == 2


def test_one_ctrl_c_kills_the_agent_and_the_run_goes_on(project: Project) -> None:
    project.hold_at("acted")
    server = project.server()
    run_id = project.start_run()
    pid = agent_at(project, "acted")
    server.send(signal.SIGINT)
    said = server.await_line("^Ctrl-C: killed")
    assert masked(said).startswith("Ctrl-C: killed the agent (pid 12345), the reactors take over")
    assert f"(pid {pid})" in said
    run = project.await_status(run_id)
    assert (run.decisions, run.effects, run.drive) == (3, 1, 2)
    assert project.wires() == [f"{run_id}/1/0/wire_money"]
    assert server.process.poll() is None
    again = project.start_run()
    project.go_on("acted")
    project.await_status(again)


def test_ctrl_c_between_runs_kills_nobody(project: Project) -> None:
    server = project.server()
    server.send(signal.SIGINT)
    assert "no agent is driving a run now" in server.await_line("^Ctrl-C:")
    project.await_status(project.start_run())


def test_two_ctrl_c_stop_everything(project: Project) -> None:
    project.hold_at("acted")
    server = project.server()
    run_id = project.start_run()
    project.await_place("acted")
    server.send(signal.SIGINT)
    server.await_line("^Ctrl-C:")
    server.send(signal.SIGINT)
    assert server.wait() == 0
    assert not processes_of(project.folder)
    project.server()
    project.await_status(run_id)
    assert len(project.wires()) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("place", ["before", "acted"])
def test_a_stop_mid_effect_is_taken_up_by_the_next_start(project: Project, number: signal.Signals, place: str) -> None:
    project.hold_at(place)
    server = project.server()
    run_id = project.start_run()
    project.await_place(place)
    server.send(number)
    assert server.wait() == 0
    assert len(server.err) == 2, server.err
    assert not processes_of(project.folder)
    project.go_on(place)
    project.server()
    run = project.await_status(run_id)
    assert (run.decisions, run.effects) == (3, 1)
    assert project.wires() == [f"{run_id}/1/0/wire_money"]


@pytest.mark.parametrize("place", ["before", "acted"])
def test_the_server_itself_is_killed_mid_effect(project: Project, place: str) -> None:
    project.hold_at(place)
    server = project.server()
    run_id = project.start_run()
    agent_at(project, place)
    server.kill()
    wait_until(lambda: not processes_of(project.folder), "agents and stand-in are gone with their server")
    assert project.run(run_id).status == "RUNNING"
    project.go_on(place)
    project.server()
    run = project.await_status(run_id)
    assert (run.decisions, run.effects, run.drive) == (3, 1, 2)
    assert project.wires() == [f"{run_id}/1/0/wire_money"]
    assert "DIED: its server ended" in project.tape("doctor", "--dump-run", run_id).stdout
    assert project.tape("doctor").returncode == 0


def test_a_child_of_a_tool_that_outlives_the_server_is_ended_before_the_run_goes_on(project: Project) -> None:
    """The child has a session of its own, so neither its agent's death nor the server's ends it."""
    project.hold_at("acted")
    child = (
        '\n    subprocess.Popen(["sleep", "300"], start_new_session=True, stdout=subprocess.DEVNULL, '
        "stderr=subprocess.DEVNULL)"
    )
    project.edit(
        "app/agent.py",
        ("import json\n", "import json\nimport subprocess\n"),
        ('\n    hold("before")', child + '\n    hold("before")'),
    )
    server = project.server()
    run_id = project.start_run()
    agent_at(project, "acted")
    server.kill()
    wait_until(lambda: len(processes_of(project.folder)) == 1, "only the child is left")
    assert "sleep 300" in "".join(processes_of(project.folder).values())
    project.go_on("acted")
    project.server()
    project.await_status(run_id)
    assert not any("sleep 300" in command for command in processes_of(project.folder).values())
    assert len(project.wires()) == 1


def test_an_agent_killed_by_a_stranger_is_taken_up(project: Project) -> None:
    project.hold_at("acted")
    project.server()
    run_id = project.start_run()
    os.kill(agent_at(project, "acted"), signal.SIGKILL)
    run = project.await_status(run_id)
    assert (run.decisions, run.effects, run.drive) == (3, 1, 2)
    assert len(project.wires()) == 1


def test_kill_and_thaw_from_another_shell(project: Project) -> None:
    project.hold_at("acted")
    project.server()
    run_id = project.start_run()
    pid = agent_at(project, "acted")
    done = project.tape("kill", "--run", run_id)
    assert (done.returncode, done.stdout) == (0, f"killed pid {pid}\n")
    project.await_status(run_id)
    done = project.tape("kill")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "no agent to kill\n")
    done = project.tape("kill", "--run", run_id)
    assert done.returncode == 1
    assert "is not being driven now" in one_line(done)
    done = project.tape("thaw")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "no agent is stopped\n")


@pytest.mark.parametrize("number", ["KILL", "TERM", "LOST"])
def test_kill_at_a_point_in_each_way(project: Project, number: str) -> None:
    project.server()
    done = project.tape("kill", "--at", "effect.acted", "--tool", "wire_money", "--signal", number)
    assert (done.returncode, done.stdout) == (0, f"armed effect.acted: {number}\n")
    run_id = project.start_run()
    run = project.await_status(run_id)
    assert (run.decisions, run.effects) == (3, 1)
    assert len(project.wires()) == 1
    assert "point_reached" in project.kinds(run_id)


def test_a_frozen_agent_wakes_up_fenced(project: Project) -> None:
    project.edit("tape.yaml", ("{ttl: 15s, heartbeat: 5s, stall: 60s}", "{ttl: 600ms, heartbeat: 200ms, stall: 60s}"))
    server = project.server()
    assert project.tape("kill", "--at", "decision.recorded", "--decision", "1", "--signal", "STOP").returncode == 0
    run_id = project.start_run()
    run = project.await_status(run_id)
    assert (run.decisions, run.effects, run.drive) == (3, 1, 2)
    done = project.tape("thaw")
    assert re.fullmatch(r"thawed pid \d+\n", done.stdout), done
    server.await_line("write_refused")
    assert len(project.wires()) == 1
    assert project.run(run_id).status == "TERMINAL"


def test_orders_that_need_a_server_say_so(project: Project) -> None:
    for command in (("kill",), ("kill", "--at", "effect.acted"), ("thaw",)):
        done = project.tape(*command)
        assert done.returncode == 3
        assert "no server runs for this project: start `tape dev`" in one_line(done)


def test_tape_server_stops_at_the_first_ctrl_c(project: Project) -> None:
    project.hold_at("acted")
    server = project.server("server")
    assert server.err[1] == "ready; Ctrl-C stops everything, the next start takes up what is open"
    run_id = project.start_run()
    project.await_place("acted")
    server.send(signal.SIGINT)
    assert server.wait() == 0
    project.go_on("acted")
    project.server("server")
    project.await_status(run_id)
    assert len(project.wires()) == 1


def test_a_project_that_hangs_at_its_import_can_be_stopped(project: Project) -> None:
    hang = '\nopen("at-import", "w").close()\nimport time\ntime.sleep(300)\n'
    project.agent_file.write_text(project.agent_file.read_text() + hang)
    server = project.server(ready=False)
    project.await_place("import")
    server.send(signal.SIGINT)
    assert server.wait() == 130
    assert not any("Traceback" in line for line in server.err), server.err


def test_what_the_agent_prints_is_shown_with_its_pid_and_made_safe(project: Project) -> None:
    project.edit("app/agent.py", ("    plan = await", '    print("\\x1b[31mhello", flush=True)\n\n    plan = await'))
    server = project.server()
    project.await_status(project.start_run())
    line = server.await_line("^agent ")
    assert re.fullmatch(r"agent \d+: \S*\[31mhello", line), line
    assert "\x1b" not in line


def test_a_reader_that_leaves_ends_it_quietly(project: Project) -> None:
    server = subprocess.Popen(
        ["sh", "-c", f"{shlex.join([*TAPE, 'dev', '--headless'])} | head -n 1"],
        cwd=project.folder,
        env=project.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: len(processes_of(project.folder)) >= 2, "the server is up")
    project.start_run()
    out, err = server.communicate(timeout=30)
    assert len(out.splitlines()) == 1
    assert "Traceback" not in err, err


def test_status_follow_prints_the_rows_as_they_come(project: Project) -> None:
    follow = project.server("status", "--follow", ready=False)
    follow.await_line("^no runs yet")
    project.server()
    run_id = project.start_run()
    follow.await_line(rf"{run_id} → run_started  treasury  \"pay invoice 8\"")
    follow.await_line(rf"{run_id} ✓ run_moved  RUNNING to TERMINAL")
    follow.send(signal.SIGINT)
    assert follow.wait() == 130
    assert not any("Traceback" in line for line in follow.err)


def test_two_agents_and_many_runs(project: Project) -> None:
    project.edit("tape.yaml", ("workers: 1 ", "workers: 2 "))
    project.server()
    runs = [project.start_run(f"pay invoice {number}") for number in range(6)]
    for run_id in runs:
        project.await_status(run_id)
    assert sorted(project.wires()) == sorted(f"{run_id}/1/0/wire_money" for run_id in runs)


def test_the_journal_and_the_socket_are_for_the_owner_only(project: Project) -> None:
    project.server()
    project.await_status(project.start_run())
    for file in (project.folder / ".tape").iterdir():
        assert file.stat().st_mode & 0o077 == 0, file
    assert (project.folder / ".tape").stat().st_mode & 0o077 == 0
