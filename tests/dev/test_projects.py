"""Projects as they come: several in one environment, wrong ones, deep ones, read-only ones, ones from the future."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tape.core.journal.schema import SCHEMA_VERSION
from tape.core.scaffold.scaffold import create_project
from tests.dev.harness import TAPE, Project, clean_environment, masked, one_line, processes_of, wait_until
from tests.dev.harness import TEN_LINES as TEN
from tests.docs.environment import make_environment


def speaks(project: Project, words: str) -> None:
    """Makes the project's agent end with these words."""
    project.edit("app/agent.py", ("The invoice is paid.", words))


def result_of(project: Project, python: str = sys.executable) -> str:
    done = subprocess.run(
        [python, *TAPE[1:], "run", "--input", '"x"', "--wait", "--json"],
        cwd=project.folder,
        env=project.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# ------------------------------------------------------------------------------------------ several in one environment


def test_two_projects_at_once_each_run_their_own_code(tmp_path: Path) -> None:
    first, second = Project(tmp_path, "first"), Project(tmp_path, "second")
    speaks(first, "said by the first")
    speaks(second, "said by the second")
    try:
        first.server()
        second.server()
        for project, words in ((first, "said by the first"), (second, "said by the second"), (first, "the first")):
            assert words in result_of(project)
    finally:
        first.close()
        second.close()
    assert (len(first.wires()), len(second.wires())) == (2, 1)


@pytest.fixture(scope="module")
def bystander(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a fresh environment."""
    return make_environment(tmp_path_factory.mktemp("venv")) / "python"


def test_two_projects_installed_side_by_side(bystander: Path, tmp_path: Path) -> None:
    """`pip install -e .` of both, as the scaffold says; both have a package called `app`."""
    projects = [Project(tmp_path, "first"), Project(tmp_path, "second")]
    for project in projects:
        speaks(project, f"said by {project.folder.name}")
        done = subprocess.run(
            [bystander.with_name("pip"), "install", "-q", "-e", "."],
            cwd=project.folder,
            env=project.environment | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    for project in projects:
        done = subprocess.run(
            [bystander.with_name("tape"), "dev", "--kill-resume-demo", "--verbose"],
            cwd=project.folder,
            env=project.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert f'run_ended  TERMINAL  "said by {project.folder.name}"' in done.stdout


def foreign_app(folder: Path) -> Path:
    (folder / "app").mkdir(parents=True)
    (folder / "app" / "__init__.py").write_text("")
    theirs = folder / "app" / "agent.py"
    shutil.copy(create_project("foreign", folder) / "app" / "agent.py", theirs)
    theirs.write_text(theirs.read_text().replace("The invoice is paid.", "said by a stranger"))
    return theirs


def put_first(project: Project, site: Path) -> None:
    known = project.environment.get("PYTHONPATH")
    project.environment["PYTHONPATH"] = os.pathsep.join([str(site), *([known] if known else [])])


def test_an_installed_package_called_app_does_not_replace_the_projects_own(project: Project, tmp_path: Path) -> None:
    foreign_app(tmp_path / "site")
    put_first(project, tmp_path / "site")
    project.server()
    assert "The invoice is paid." in result_of(project)


def test_a_package_called_app_that_is_loaded_already_is_refused_with_both_paths(
    project: Project, tmp_path: Path
) -> None:
    theirs = foreign_app(tmp_path / "site")
    (tmp_path / "site" / "sitecustomize.py").write_text("import app.agent\n")
    put_first(project, tmp_path / "site")
    done = project.tape("dev", "--headless")
    assert done.returncode == 2
    said = one_line(done)
    assert str(project.folder / "app") in said
    assert str(theirs.parent) in said
    assert "two things share one name" in said


# ----------------------------------------------------------------------------------------------------------- wrong ones

BROKEN = {
    "module": (("tape.yaml", "app.agent:treasury ", "app.agnt:treasury "), "tape.yaml: the module app.agnt"),
    "function": (("tape.yaml", "app.agent:treasury ", "app.agent:treasry "), "no agent 'treasry'; it has: treasury"),
    "key": (("tape.yaml", "workers: 1 ", "worker: 1 "), "tape.yaml:4: unknown key 'worker'; did you mean 'workers'?"),
    "type": (("tape.yaml", "workers: 1 ", "workers: many "), "tape.yaml:4: "),
    "stand-in": (("tape.yaml", "honours_key", "honour_key"), "unknown option 'honour_key'; did you mean 'honours_key'"),
    "syntax": (("app/agent.py", "import tape\n", "import tape\ndef (\n"), "app/agent.py:9: app.agent cannot be loaded"),
    "import": (("app/agent.py", "import tape\n", "import tape\nimport numpyx\n"), "No module named 'numpyx'"),
    "raises": (("app/agent.py", "import tape\n", "import tape\n1 / 0\n"), "app/agent.py:9: app.agent cannot be loaded"),
    "exits": (("app/agent.py", "import tape\n", "import tape\nraise SystemExit(3)\n"), "before it is ready (exit 3)"),
    "dies": (
        ("app/agent.py", "import tape\n", 'import tape\nprint("out of luck", flush=True)\nos._exit(4)\n'),
        "before it is ready (exit 4); the last that it said: out of luck",
    ),
    "option": (("app/agent.py", "settle_delay=0.2", "setle_delay=0.2"), "tool wire_money has no option setle_delay"),
    "semantics": (
        ("app/agent.py", '"non_idempotent"', '"once"'),
        "one of: read_only, idempotent, non_idempotent",
    ),
}

HEADLESS = ("module", "function", "stand-in", "syntax", "import", "dies")  # the others are tried with the demo


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_project_is_one_clear_line(project: Project, broken: str) -> None:
    (file, old, new), says = BROKEN[broken]
    project.edit(file, (old, new))
    done = project.tape("dev", "--headless" if broken in HEADLESS else "--kill-resume-demo")
    assert done.returncode == 2
    assert says in one_line(done)
    assert not processes_of(project.folder)


def test_a_folder_that_is_no_project(tmp_path: Path) -> None:
    done = subprocess.run(
        [*TAPE, "dev"], cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "make one with: tape init NAME" in one_line(done)


# ---------------------------------------------------------------------------------------------------- where they stand


def test_a_project_so_deep_that_no_socket_could_stand_in_it(tmp_path: Path) -> None:
    folder = tmp_path
    while len(str(folder)) < 400:
        folder = folder / ("a-folder-" * 5)
    folder.mkdir(parents=True)
    project = Project(folder)
    done = project.tape("dev", "--kill-resume-demo")
    assert (masked(done.stdout), done.returncode) == (TEN, 0)
    try:
        project.server()
        project.await_status(project.start_run())
    finally:
        project.close()


def test_a_project_whose_path_has_spaces_and_signs(tmp_path: Path) -> None:
    folder = tmp_path / 'Grüße, it\'s "fine" & co'
    folder.mkdir()
    done = Project(folder).tape("dev", "--kill-resume-demo")
    assert (masked(done.stdout), done.returncode, done.stderr) == (TEN, 0, "")


def test_commands_work_from_a_folder_below(project: Project) -> None:
    project.server()
    run_id = project.start_run()
    project.await_status(run_id)
    below = project.folder / "tests"
    done = subprocess.run(
        [*TAPE, "status"], cwd=below, env=project.environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert run_id in done.stdout


# A root without its right to write everywhere: permissions then hold for it as for anybody.
HUMBLY = (
    sys.executable,
    "-c",
    "import ctypes, os, sys; [ctypes.CDLL(None).prctl(24, right, 0, 0, 0) for right in (1, 2)]; "
    "os.execv(sys.argv[1], sys.argv[1:])",
)


def test_a_folder_that_cannot_be_written(project: Project) -> None:
    os.chmod(project.folder, 0o555)
    try:
        for command in (("dev", "--headless"), ("dev", "--kill-resume-demo"), ("run", "--input", "1")):
            done = subprocess.run(
                [*HUMBLY, *TAPE, *command],
                cwd=project.folder,
                env=project.environment,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert done.returncode == 3, (command, done)
            assert "make the folder writable or set TAPE_JOURNAL" in one_line(done)
    finally:
        os.chmod(project.folder, 0o755)


def test_a_journal_of_a_newer_release_is_not_touched(project: Project) -> None:
    assert project.tape("run", "--input", '"x"').returncode == 0
    journal = project.folder / ".tape" / "dev.db"
    with sqlite3.connect(journal) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()
    before = journal.read_bytes()
    for command in (
        ("dev", "--headless"),
        ("dev", "--kill-resume-demo"),
        ("server",),
        ("run", "--input", '"x"'),
        ("status",),
        ("cancel", "r-0123456789ab"),
    ):
        done = project.tape(*command)
        assert done.returncode == 3, (command, done)
        assert "upgrade tape-agents" in one_line(done)
        assert "it was not touched" in one_line(done)
    assert journal.read_bytes() == before
    wait_until(lambda: not processes_of(project.folder), "nothing was left running", 5)


def test_another_journal_by_the_environment(project: Project, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere" / "runs.db"
    project.environment["TAPE_JOURNAL"] = f"sqlite:///{elsewhere}"
    done = project.tape("dev", "--kill-resume-demo")
    assert (masked(done.stdout), done.returncode) == (TEN, 0)
    assert elsewhere.exists()
    assert not (project.folder / ".tape").exists()
