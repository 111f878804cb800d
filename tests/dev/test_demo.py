"""`tape dev --kill-resume-demo`: ten lines held to the letter, from real kills, judged by the bank's own ledger."""

from __future__ import annotations

import re
import signal

import pytest

from tape.core.kernel.points import POINTS
from tape.lab.demo import PASSED
from tests.dev.harness import TEN_LINES, Project, masked, one_line

HEAD, TAIL = TEN_LINES.splitlines()[:4], TEN_LINES.splitlines()[-2:]
RECOVERED = "↻ recovery reactor: run r-... is RUNNABLE; re-driving"
REPLAYED = "✓ effect `wire_money` short-circuited (already CONFIRMED)"

# What stands between the head and the tail. `decision_index` and `seq` are the next to be written.
BETWEEN = {
    "decision.asking": [RECOVERED, "✓ agent re-attached at decision_index=0, seq=2"],
    "decision.replied": [RECOVERED, "✓ agent re-attached at decision_index=0, seq=2"],
    "decision.recorded": [RECOVERED, "✓ agent re-attached at decision_index=1, seq=4"],
    "effect.begun": [
        RECOVERED,
        "✓ agent re-attached at decision_index=2, seq=7",
        "✓ effect `wire_money` dispatched again (attempt 2, the same key)",
    ],
    "effect.acted": [RECOVERED, "✓ agent re-attached at decision_index=2, seq=8", REPLAYED],
    "effect.ended": [RECOVERED, "✓ agent re-attached at decision_index=2, seq=8", REPLAYED],
    "run.ending": [RECOVERED, "✓ agent re-attached at decision_index=3, seq=10", REPLAYED],
    "lease.granted": [RECOVERED, "✓ agent re-attached at decision_index=0, seq=2"],
    "observe.answered": [
        "✗ hook worker killed at observe.answered (pid 12345)",
        RECOVERED,
        "✓ agent re-attached at decision_index=2, seq=8",
        REPLAYED,
    ],
}


def killed(point: str) -> str:
    mid_effect = point in ("effect.begun", "effect.acted", "observe.answered")
    return f"✗ agent killed {'mid-effect' if mid_effect else f'at {point}'} (pid 12345)"


def story(point: str) -> str:
    if point == "run.ended":  # the end is durable: there is nothing left to recover
        lines = [*HEAD, TAIL[0], killed(point), TAIL[1]]
    else:
        lines = [*HEAD, killed(point), *BETWEEN[point], *TAIL]
    return "".join(f"{line}\n" for line in lines)


def test_the_ten_lines_twice_in_one_project(project: Project) -> None:
    for times in (1, 2):
        done = project.tape("dev", "--kill-resume-demo")
        assert masked(done.stdout) == TEN_LINES
        assert (done.returncode, done.stderr) == (0, "")
        assert len(project.wires()) == len(set(project.wires())) == times
    assert {run.status for run in project.runs()} == {"TERMINAL"}


def test_what_the_guide_then_looks_at(project: Project) -> None:
    assert project.tape("dev", "--kill-resume-demo").returncode == 0
    status = project.tape("status")
    (run,) = project.runs()
    assert re.search(rf"^{run.id}  ✓ TERMINAL  treasury  decisions=3  effects=1 ", status.stdout, re.M), status.stdout
    dump = project.tape("doctor", "--dump-run", run.id).stdout
    for part in ("entries", "decisions", "effects", "attempts", "budget", "leases"):
        assert re.search(rf"^{part}$", dump, re.M), dump
    assert f"✓ CONFIRMED  {run.id}/1/0/wire_money  non_idempotent  1 attempt  observed by reconciler" in dump
    assert re.search(r"epoch 1  drive 1 .* DIED .*SIGKILL: killed at effect.acted", dump)
    assert project.tape("doctor").returncode == 0


@pytest.mark.parametrize("point", PASSED)
def test_every_point_that_its_agent_passes(project: Project, point: str) -> None:
    done = project.tape("dev", "--kill-resume-demo", "--kill-at", point)
    assert masked(done.stdout) == story(point)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(project.wires()) == 1
    (run,) = project.runs()
    assert (run.status, run.decisions, run.effects) == ("TERMINAL", 3, 1)


@pytest.mark.parametrize("point", [point.name for point in POINTS if point.name not in PASSED])
def test_a_point_that_its_agent_does_not_pass_is_refused(project: Project, point: str) -> None:
    done = project.tape("dev", "--kill-resume-demo", "--kill-at", point)
    assert done.returncode == 2
    assert not done.stdout
    assert f"does not pass {point}; it passes: decision.asking" in one_line(done)


def test_a_point_of_ones_own(project: Project) -> None:
    project.edit("app/agent.py", ("    return receipt(wire[", '    tape.crash_point("paid")\n    return receipt(wire['))
    done = project.tape("dev", "--kill-resume-demo", "--kill-at", "at:paid")
    between = [killed("at:paid"), *BETWEEN["effect.acted"]]
    assert masked(done.stdout) == "".join(f"{line}\n" for line in [*HEAD, *between, *TAIL])
    assert (done.returncode, len(project.wires())) == (0, 1)


def test_a_point_of_ones_own_that_is_never_reached_says_so(project: Project) -> None:
    done = project.tape("dev", "--kill-resume-demo", "--kill-at", "at:nowhere")
    assert done.returncode == 1
    assert "✗ nothing was killed: the run did not pass at:nowhere\n" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--kill-resume-demo", "--kill-at", "effect.actd"), "did you mean effect.acted?"),
        (("--kill-at", "effect.acted"), "add --kill-resume-demo"),
        (("--without-tape",), "add --kill-resume-demo"),
    ],
)
def test_wrong_options_are_one_line(project: Project, arguments: tuple[str, ...], says: str) -> None:
    done = project.tape("dev", *arguments)
    assert done.returncode == 2
    assert says in one_line(done)


def test_verbose_adds_indented_lines_only(project: Project) -> None:
    done = project.tape("dev", "--kill-resume-demo", "--verbose")
    plain = [line for line in done.stdout.splitlines(keepends=True) if not line.startswith("    ")]
    assert masked("".join(plain)) == TEN_LINES
    aside = [line for line in done.stdout.splitlines() if line.startswith("    ")]
    for what in ("◐ effect_begun  wire_money", "◆ point_reached  effect.acted", "✓ observed  1/0/wire_money: present"):
        assert any(what in line for line in aside), done.stdout
    assert done.returncode == 0


def test_without_tape_the_bank_pays_twice(project: Project) -> None:
    """An agent may print, and more than a pipe takes: that is not how it says that it has acted."""
    project.edit("app/agent.py", ("@tape.tool(", 'print("loaded " * 20_000)\n\n\n@tape.tool('))
    done = project.tape("dev", "--kill-resume-demo", "--without-tape")
    assert masked(done.stdout).splitlines() == [
        "✓ agent started (without Tape)",
        "✗ agent killed mid-effect (pid 12345)",
        "↻ naive restart: the agent runs again from its top",
        "✓ run terminated cleanly",
        "upstream observed 2 wires ✗",
    ]
    assert done.returncode == 0
    assert done.stderr.count("loaded") == 40_000
    assert len(project.wires()) == 2
    assert not project.runs()


def test_a_doubled_wire_is_seen_by_the_verdict(project: Project) -> None:
    """The demo can fail: a tool that claims what is not true pays twice, and the last line says so."""
    project.edit(
        "app/agent.py",
        ('semantics="non_idempotent", authoritative=True, settle_delay=0.2', 'semantics="idempotent"'),
        ("@wire_money.observe\n", ""),
    )
    done = project.tape("dev", "--kill-resume-demo")
    assert done.stdout.splitlines()[-1] == "ASSERT: upstream observed 2 wires, expected exactly 1 ✗"
    assert done.returncode == 1


def test_a_project_without_a_stand_in_cannot_be_judged(project: Project) -> None:
    project.edit("tape.yaml", ("upstream:  ", "#"), ("  bank: {", "#"))
    for more in ((), ("--without-tape",)):
        done = project.tape("dev", "--kill-resume-demo", *more)
        assert done.returncode == 2
        assert "add `upstream: {bank: {}}` to tape.yaml" in one_line(done)


def test_another_server_holds_the_journal(project: Project) -> None:
    project.server()
    for command in (("dev", "--kill-resume-demo"), ("dev", "--headless"), ("server",)):
        done = project.tape(*command)
        assert done.returncode == 3, command
        assert not done.stdout
        assert f"another server (pid {project.servers[0].process.pid}) holds " in one_line(done)


def test_runs_left_over_are_finished_first_and_not_counted(project: Project) -> None:
    before = [project.start_run(), project.start_run()]
    done = project.tape("dev", "--kill-resume-demo")
    assert masked(done.stdout) == TEN_LINES
    assert done.returncode == 0
    assert [project.run(run_id).status for run_id in before] == ["TERMINAL", "TERMINAL"]
    assert len(project.wires()) == len(set(project.wires())) == 3


def test_interrupted_it_leaves_a_run_that_the_next_demo_takes_up(project: Project) -> None:
    project.hold_at("before")
    server = project.server("dev", "--kill-resume-demo", ready=False)
    project.await_place("before")
    server.send(signal.SIGINT)
    assert server.wait() == 130
    assert not any("Traceback" in line for line in server.err), server.err
    project.go_on("before")
    done = project.tape("dev", "--kill-resume-demo")
    assert masked(done.stdout) == TEN_LINES
    assert [run.status for run in project.runs()] == ["TERMINAL", "TERMINAL"]
    assert len(project.wires()) == len(set(project.wires())) == 2
