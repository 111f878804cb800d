"""`tape prove` as its user meets it: green, red with the sentence, from a recorded run, interrupted, called wrongly."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.dev.harness import Project, one_line, processes_of, wait_until

TASK = ("--input", '"pay invoice 7"')
NO_KEY = (", key=tape.idempotency_key())", ")")
REAL = """
    import pathlib
    with (pathlib.Path(__file__).parents[1] / "called").open("a") as file:
        file.write("wire\\n")
    body ="""


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """Its temporary files are below it, so that every process of a proof names the folder."""
    scratch = tmp_path / "treasury" / "tmp"
    made = Project(tmp_path, environment={"TMPDIR": str(scratch)})
    scratch.mkdir()
    yield made
    made.close()
    assert processes_of(made.folder) == {}
    assert list(scratch.glob("tape-prove-*")) == []
    assert list(scratch.glob("tape-bench-*")) == []


def prove(project: Project, *arguments: str, seconds: float = 110):
    return project.tape("prove", *arguments, seconds=seconds)


@pytest.mark.slow
def test_the_scaffold_holds(project: Project) -> None:
    done = prove(project, *TASK, "--json", "proof.json", "--junit", "proof.xml", "--svg", "proof.svg")
    assert done.returncode == 0, done.stderr + done.stdout
    assert done.stdout.splitlines()[0].endswith("all hold ✓")
    proof = json.loads((project.folder / "proof.json").read_text())
    assert (proof["holds"], len(proof["boundaries"]), proof["cells"], proof["kills"]) == (True, 15, 60, 60)
    assert {result["status"] for result in proof["results"]} == {"TERMINAL"}
    assert {result["acts"] for result in proof["results"]} == {1}
    suite = ElementTree.parse(project.folder / "proof.xml").getroot()
    assert len(list(suite.iter("testcase"))) == 60
    assert list(suite.iter("failure")) == []
    assert ElementTree.parse(project.folder / "proof.svg").getroot().tag.endswith("svg")
    assert not (project.folder / ".tape" / "prove").exists()
    assert project.runs() == [], "the project's own journal is not touched"


@pytest.mark.slow
def test_pairs_kill_the_recovery_too(project: Project) -> None:
    done = prove(project, *TASK, "--pairs", "--json", "-")
    assert done.returncode == 0, done.stderr
    proof = json.loads(done.stdout)
    seconds = [result for result in proof["results"] if result["cell"]["second"] is not None]
    assert len(seconds) >= 40
    assert all(result["kills"] == 2 for result in seconds if result["mark"] == "holds")
    killed = {result["cell"]["second"]["point"] for result in seconds}
    assert {"observe.answered", "lease.granted", "effect.begun"} <= killed


@pytest.mark.slow
def test_a_mistake_leaves_a_scenario_that_shows_it_until_it_is_mended(project: Project) -> None:
    project.edit("app/agent.py", NO_KEY)
    done = prove(project, *TASK)
    assert done.returncode == 1, done.stderr
    assert "2 of 60 do not hold ✗" in done.stdout
    (scenario,) = {line.split()[-1] for line in done.stdout.splitlines() if line.startswith("  scenario: ")}
    assert (project.folder / scenario).is_file()
    assert (project.folder / ".tape" / "prove" / "effect.acted-1-wire_money-KILL" / "journal.db").is_file()
    again = project.tape("scenario", "run", ".tape/prove")
    assert again.returncode == 1
    assert "upstream.bank.wires: expected 1, found 2" in again.stdout
    project.edit("app/agent.py", ('"/wires", body)', '"/wires", body, key=tape.idempotency_key())'))
    mended = project.tape("scenario", "run", ".tape/prove")
    assert mended.returncode == 0, mended.stdout


@pytest.mark.slow
def test_a_recorded_run_plays_models_and_tools(project: Project) -> None:
    project.edit("app/agent.py", ("    body =", REAL))
    project.server()
    done = project.tape("run", *TASK, "--wait")
    run = done.stdout.strip()
    project.servers[0].close()
    called = project.folder / "called"
    assert called.read_text() == "wire\n"
    proof = json.loads(prove(project, "--from", run, "--json", "-").stdout)
    assert (proof["holds"], proof["kills"]) == (True, 60)
    assert called.read_text() == "wire\n", "the tool itself was called"


@pytest.mark.slow
@pytest.mark.parametrize(("keys", "mistakes"), [("honoured", []), ("ignored", ["key-not-honoured"])])
def test_whether_the_stand_in_honours_keys(project: Project, keys: str, mistakes: list[str]) -> None:
    look_up = project.agent_file.read_text().partition("# The look-up.")[2].partition("# --- the model")[0]
    project.edit("app/agent.py", (look_up, "\n"))
    project.edit(
        "app/agent.py",
        ('semantics="non_idempotent", authoritative=True, settle_delay=0.2', 'semantics="idempotent"'),
    )
    project.server()
    run = project.tape("run", *TASK, "--wait").stdout.strip()
    project.servers[0].close()
    done = prove(project, "--from", run, "--keys", keys, "--json", "-")
    proof = json.loads(done.stdout)
    assert [cause["mistake"] for cause in proof["causes"]] == mistakes
    assert done.returncode == (1 if mistakes else 0)
    for cause in proof["causes"]:
        assert "wire_money" in cause["sentence"]
        assert {cell.partition(" ")[0] for cell in cause["cells"]} == {"effect.acted"}


@pytest.mark.slow
def test_events_are_json_lines_for_whoever_watches(project: Project) -> None:
    done = prove(project, *TASK, "--events", "--keep", "all")
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    kinds = [next(iter(fact)) for fact in told]
    assert kinds == ["good", "plan", *["result"] * 60, "proof"]
    numbers = {cell["number"] for cell in told[1]["plan"]["cells"]}
    assert numbers == {fact["result"]["cell"]["number"] for fact in told[2:-1]}
    assert all(Path(fact["result"]["journal"]).is_file() for fact in told[2:-1])


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_told_to_end_it_ends_everything(project: Project, number: signal.Signals) -> None:
    server = project.server("prove", *TASK, ready=False)
    server.await_line(r"^prove: .*%")
    if number is signal.SIGINT:
        os.killpg(server.process.pid, number)  # as a terminal does
    else:
        server.send(number)
    assert server.wait() == 130
    assert not any("Traceback" in line for line in [*server.err, *server.out])
    wait_until(lambda: not processes_of(project.folder), "no process is left")


@pytest.mark.slow
def test_killed_hard_it_leaves_no_process(project: Project) -> None:
    server = project.server("prove", *TASK, ready=False)
    server.await_line(r"^prove: .*%")
    server.kill()
    wait_until(lambda: not processes_of(project.folder), "no process is left")
    for left in project.folder.glob("tmp/tape-*"):
        shutil.rmtree(left)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nobody",), "no agent 'nobody'; there are: treasury"),
        (("treasurer",), "did you mean treasury?"),
        (("--input", "pay"), "--input is not JSON"),
        (("--from", "r-000000000000"), "no journal"),
        (("--from", "r-000000000000", "--input", "1"), "leave --input out"),
        (("--junit", "nowhere/proof.xml"), "no folder nowhere"),
        (("--jobs", "1000"), "--jobs"),
        (("--keys", "maybe"), "--keys"),
        (("--keys", "ignored"), "add --from RUN"),
        (("--within", "soon"), "--within"),
    ],
)
def test_wrong_use_is_one_line(project: Project, arguments: tuple[str, ...], words: str) -> None:
    done = prove(project, *arguments)
    assert words in one_line(done)
    assert done.returncode in (1, 2, 3)
    assert done.stdout == ""


def test_a_project_that_cannot_be_loaded_is_one_line(project: Project) -> None:
    project.edit("app/agent.py", ("import tape\n", "import tape\n\nraise RuntimeError('no licence')\n"))
    done = prove(project, *TASK)
    assert (done.returncode, done.stdout) == (2, "")
    assert "app/agent.py:" in one_line(done)
    assert "no licence" in one_line(done)


def test_an_input_that_the_agent_refuses(project: Project) -> None:
    done = prove(project, "--input", "7")
    assert done.returncode in (0, 1)
    assert "Traceback" not in done.stderr
