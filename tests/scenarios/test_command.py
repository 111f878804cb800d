"""`tape scenario run`: from any folder, several paths, what it prints, and what it says to bad use."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.dev.harness import TAPE, Project, clean_environment, one_line, wait_until
from tests.scenarios.conftest import ROOT

NEVER = """\
name: what never comes
input: pay invoice 7
kill:
  - {at: effect.acted, tool: nothing}
orders:
  - {on: STUCK, do: redrive}
  - {on: STUCK, do: cancel}
"""


def scenario(project: Project, text: str, file: str = "more/mine.yaml") -> Path:
    path = project.folder / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*TAPE, "scenario", "run", *arguments],
        cwd=folder,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


# --- what it does -----------------------------------------------------------------------------------------------------


def test_the_scaffold_s_stories_hold(project: Project) -> None:
    """In the project's folder, without a word more."""
    started = time.monotonic()
    done = project.tape("scenario", "run")
    assert done.returncode == 0, done.stdout
    *rows, last = [line for line in done.stdout.splitlines() if line]
    assert [row[0] for row in rows] == [" ", "✓", "✓", "✓"]
    assert last.startswith("3 scenarios, 4 kills in ") and last.endswith(": all hold ✓")
    assert done.stderr.splitlines()[-1] == "scenarios: 3 of 3 (100 %), 0 wrong"
    assert time.monotonic() - started < 30
    assert not (project.folder / ".tape").exists(), "what holds leaves nothing behind, and the journal is another one"


def test_several_paths_from_a_folder_far_away(project: Project, tmp_path: Path) -> None:
    xml = tmp_path / "stories.xml"
    paths = [
        str(project.folder / "scenarios" / "frozen.yaml"),
        str(ROOT / "scenarios" / "first-crash" / "the-demo.yaml"),
    ]
    done = run(tmp_path, *paths, paths[0], "--json", "--jobs", "1", "--junit", str(xml))
    assert done.returncode == 0, done.stdout
    results = json.loads(done.stdout)
    assert [result["file"] for result in results] == paths
    assert [result["kills"] for result in results] == [1, 1]
    suite = ElementTree.fromstring(xml.read_text())
    assert {case.get("name") for case in suite.iter("testcase")} == {result["name"] for result in results}
    assert not list(suite.iter("failure")) and not list(suite.iter("error"))


def test_what_is_wrong_is_told_with_its_line_and_kept(project: Project, tmp_path: Path) -> None:
    """The journal that is kept can be opened with the command that is printed, from where it is printed."""
    text = (project.folder / "scenarios" / "mid-wire.yaml").read_text()
    for folder in ("one", "two"):
        scenario(project, text.replace("bank.wires: 1", "bank.wires: 2"), f"{folder}/same.yaml")
    xml = tmp_path / "stories.xml"
    done = run(tmp_path, f"{project.folder}/one", f"{project.folder}/two", "--junit", str(xml))
    assert done.returncode == 1
    line = next(n for n, line in enumerate(text.splitlines(), 1) if "bank.wires" in line)
    place = f"{project.folder}/one/same.yaml:{line}"
    assert f"  {place}: upstream.bank.wires: expected 2, found 1" in done.stdout.splitlines()
    opened = [line.removeprefix("  journal: ") for line in done.stdout.splitlines() if "journal: " in line]
    assert len(set(opened)) == 2, "two files of one name do not share a journal"
    tape = f'tape() {{ {shlex.join(TAPE)} "$@"; }}; '
    for command in opened:
        shell = [
            "bash",
            "-c",
            tape + command.replace("TAPE_JOURNAL=", "export TAPE_JOURNAL=").replace(" tape ", "; tape "),
        ]
        seen = subprocess.run(shell, cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, check=False)
        assert seen.returncode == 0, seen.stderr
    assert len(list(ElementTree.fromstring(xml.read_text()).iter("failure"))) == 2


def test_what_never_comes_is_told_at_once(project: Project) -> None:
    """A run that is over is not waited for."""
    scenario(project, NEVER)
    done = project.tape("scenario", "run", "more", "--json")
    assert done.returncode == 1
    (result,) = json.loads(done.stdout)
    assert not result["trouble"] and result["seconds"] < 15
    assert [(miss["where"], miss["expected"], miss["found"]) for miss in result["misses"]] == [
        ("more/mine.yaml:4: kill.0", "KILL at effect.acted", "the run never came there"),
        ("more/mine.yaml:6: orders.0", "redrive on STUCK", "its moment never came"),
        ("more/mine.yaml:7: orders.1", "cancel on STUCK", "the order before it was not placed"),
    ]


def test_a_run_that_does_not_come_to_rest(project: Project) -> None:
    scenario(project, "name: held for ever\ninput: x\nwithin: 2s\norders:\n  - {on: STUCK, do: redrive}\nkill:\n"
             "  - {at: effect.begun, signal: STOP}\n")  # fmt: skip
    done = project.tape("scenario", "run", "more", "--json")
    assert done.returncode == 1
    (result,) = json.loads(done.stdout)
    assert "did not come to rest within 2 s: it is RUNNING" in result["trouble"]


# --- bad use ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nowhere",), "'nowhere': no such file or folder"),
        (("app",), "'app': no scenario here"),
        (("app/agent.py",), "app/agent.py:1:"),
        (("scenarios/frozen.yaml", "nowhere"), "'nowhere': no such file or folder"),
        (("--junit", "nowhere/x.xml"), "there is no folder nowhere"),
        (("--jobs", "-1"), "--jobs"),
    ],
    ids=["missing", "empty folder", "no scenario", "second path", "no folder for XML", "jobs"],
)
def test_bad_use(project: Project, arguments: tuple[str, ...], says: str) -> None:
    done = project.tape("scenario", "run", *arguments)
    assert done.returncode == 2
    assert says in one_line(done)


def test_no_folder_of_scenarios(project: Project) -> None:
    shutil.rmtree(project.folder / "scenarios")
    done = project.tape("scenario", "run")
    assert done.returncode == 2
    assert one_line(done).startswith("tape: 'scenarios': no such file or folder; name scenario files")


def test_all_mistakes_of_all_files_a_line_each(project: Project) -> None:
    scenario(project, "name: x\nagnt: y\nkill:\n  - {at: effect.actd}\n", "more/a.yaml")
    scenario(project, "name: x\nagent: clerk\n", "more/b.yaml")
    done = project.tape("scenario", "run", "scenarios", "more")
    assert done.returncode == 2 and not done.stdout
    assert done.stderr.splitlines() == [
        "tape: more/a.yaml:2: agnt: unknown key; did you mean agent?",
        "tape: more/a.yaml:4: kill.0.at: no crash point is called 'effect.actd'; did you mean effect.acted?",
        "tape: more/b.yaml:2: agent: tape.yaml has no agent 'clerk'; it has: treasury",
    ]


def test_a_scenario_outside_any_project(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("name: x\n")
    done = run(tmp_path, "a.yaml")
    assert done.returncode == 2
    assert "no tape.yaml" in one_line(done)


def test_a_project_that_does_not_load(project: Project) -> None:
    project.edit("app/agent.py", ("\nimport tape\n", "\nimport tape\nimport nothing_there\n"))
    done = project.tape("scenario", "run")
    assert done.returncode == 1
    assert done.stdout.count("app.agent cannot be loaded: ModuleNotFoundError") == 3
    assert "Traceback" not in done.stdout + done.stderr


# --- Ctrl-C -----------------------------------------------------------------------------------------------------------


def test_ctrl_c_leaves_nothing_behind(project: Project, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    project.edit("app/agent.py", ("    body = {", "    import time; time.sleep(60)\n    body = {"))
    started = subprocess.Popen(
        [*TAPE, "scenario", "run"],
        cwd=project.folder,
        env={**project.environment, "TMPDIR": str(scratch)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    wait_until(lambda: list(scratch.rglob("journal.db")), "a story is under way")
    wait_until(lambda: len(carriers(scratch)) > 3, "with its processes")
    os.killpg(started.pid, signal.SIGINT)  # as a terminal does
    said, errors = started.communicate(timeout=20)
    assert started.returncode == 130
    assert not said and b"Traceback" not in errors, errors
    wait_until(lambda: not carriers(scratch), f"they are gone: {carriers(scratch)}", 10)
    assert not list(scratch.iterdir())


def carriers(scratch: Path) -> list[int]:
    """Living processes with this folder in their environment."""
    found: list[int] = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            environment = Path(f"/proc/{name}/environ").read_bytes()
            state = Path(f"/proc/{name}/stat").read_text("ascii", "replace").rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state not in "ZX" and f"TMPDIR={scratch}".encode() in environment.split(b"\0"):
            found.append(int(name))
    return found
