"""The agents of the guide on child runs, killed for real."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.dev.harness import Project
from tests.docs.pages import ROOT
from tests.docs.test_your_own_agent import acts, killed_at, written_out

GUIDE = ROOT / "docs" / "guide" / "child-runs.md"


@pytest.fixture(scope="module")
def payroll(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    project = Project(tmp_path_factory.mktemp("payroll"))
    written_out(project, GUIDE)
    project.server()
    yield project
    project.close()


def people(*names: str) -> list[dict[str, object]]:
    return [{"name": name, "cents": 100} for name in names]


def test_the_parent_is_killed_and_pays_each_once(payroll: Project) -> None:
    before = acts(payroll, "bank")
    code, run = killed_at(payroll, "child.started", "payroll", people("ada", "grace", "alan"), "--tool", "pay")
    assert (code, run["status"]) == (0, "TERMINAL")
    assert len(run["result"]) == acts(payroll, "bank") - before == 3
    (told,) = json.loads(payroll.tape("status", run["run"], "--json").stdout)
    assert (told["parent"], told["children"], told["children_open"]) == (None, 3, 0)
    assert "3 children, 0 open" in payroll.tape("status", run["run"]).stdout
    children = json.loads(payroll.tape("doctor", "--dump-run", run["run"], "--json").stdout)["children"]
    assert [child["status"] for child in children] == ["TERMINAL"] * 3
    assert f"child of {run['run']}" in payroll.tape("status", children[0]["run"]).stdout
    assert "child 2  r-" in payroll.tape("doctor", "--dump-run", run["run"]).stdout


def test_a_child_is_killed_in_its_wire(payroll: Project) -> None:
    before = acts(payroll, "bank")
    assert payroll.tape("kill", "--at", "effect.acted", "--tool", "wire").returncode == 0
    done = payroll.tape("run", "payroll", "--input", json.dumps(people("ada", "grace")), "--wait", "--json")
    assert (done.returncode, json.loads(done.stdout)["status"]) == (0, "TERMINAL"), done.stderr
    assert acts(payroll, "bank") == before + 2


def test_what_goes_wrong_is_told(payroll: Project) -> None:
    given = [*people("ada"), {"name": "nobody"}]
    done = payroll.tape("run", "careful", "--input", json.dumps(given), "--wait", "--json")
    result = json.loads(done.stdout)["result"]
    assert done.returncode == 0 and "failed: KeyError: 'cents'" in result[1]
    assert payroll.tape("doctor").returncode == 0
