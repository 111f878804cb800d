"""The guide on gates and budgets shows the code of its template, and its commands are real ones."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

from tape.core.scaffold.scaffold import create_project
from tests.dev.harness import Project
from tests.docs.pages import ROOT

GUIDE = ROOT / "docs" / "guide" / "gates-and-budgets.md"
BLOCK = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)


STORIES = ROOT / "scenarios" / "agents"


def blocks(language: str) -> list[str]:
    return [text for found, text in BLOCK.findall(GUIDE.read_text("utf-8")) if found == language]


def test_its_code_is_the_template_s(tmp_path: Path) -> None:
    code = (create_project("shop", tmp_path, "approvals") / "app" / "agent.py").read_text("utf-8")
    code += (STORIES / "thrifty.py").read_text("utf-8")
    shown = blocks("py")
    assert len(shown) >= 7
    assert [block for block in shown if block not in code] == []


def test_what_it_says_of_answers_and_budgets(tmp_path: Path) -> None:
    shop = Project(tmp_path, "shop", template="approvals")
    try:
        shop.server()
        run_id = shop.start_run("we are out of paper")
        shop.await_status(run_id, "WAITING")
        lines = [line for block in blocks("") for line in block.splitlines() if run_of(line)]
        assert len(lines) == 3
        for line in sorted(lines, key=lambda line: " answer " in line):  # it ends the run: a purse is raised before
            done = shop.tape(*shlex.split(line.replace("r-0123456789ab", run_id))[1:])
            assert done.returncode == 0, (line, done.stderr)
        shop.await_status(run_id)
        told = json.loads(shop.tape("budget", run_id, "--json").stdout)["budget"]
        caps = {row["unit"]: row["cap"] for row in told}
        assert (caps["usd_micro"], caps["tokens"], caps["calls:wire_money"]) == (100_000, 5_000, 1)
        assert {row["unit"]: row["spent"] for row in told}["calls:wire_money"] == 1
        assert all(row["reserved"] == 0 for row in told)
    finally:
        shop.close()


def test_what_it_says_of_a_cap_that_a_person_raises(tmp_path: Path) -> None:
    """The agent of the page, by its commands: what it waits for, a cap that is too small, one that is enough."""
    shop = Project(tmp_path, "shop")
    for source in (ROOT / "scenarios" / "agents").iterdir():
        if source.is_file():
            shutil.copy(source, shop.folder / source.name)
    try:
        shop.server()
        run_id = shop.tape("run", "asking", "--input", "3").stdout.split()[0]
        shop.await_status(run_id, "WAITING")
        (shown,) = [block for block in blocks("") if block.startswith("! ")]
        assert shown.replace("r-0123456789ab", run_id) in shop.tape("status", run_id).stdout
        (small, enough) = shop.tape("budget", run_id, "--usd", "0.07"), shop.tape("budget", run_id, "--usd", "0.075")
        assert f"{run_id} still waits: 2/0/buy may take $0.02, and $0.015 are left" in small.stderr
        assert f"`tape budget {run_id} --usd 0.075` is enough" in small.stderr
        assert f"{run_id} goes on" in enough.stderr
        shop.await_status(run_id)
        assert (
            "3 bought"
            in shop.tape("status", run_id, "--json").stdout + shop.tape("doctor", "--dump-run", run_id).stdout
        )

        denied = shop.tape("run", "asking", "--input", "3").stdout.split()[0]
        shop.await_status(denied, "WAITING")
        wrong = shop.tape("budget", denied, "--deny", "--usd", "1")
        assert wrong.returncode == 2 and "give it, or a cap, not both" in wrong.stderr
        hint = shop.tape("answer", denied, "budget", "deny")
        assert hint.returncode == 2 and f"`tape budget {denied} --deny` says no" in hint.stderr
        told = shop.tape("budget", denied, "--deny", "--reason", "not this month", "--json")
        assert json.loads(told.stdout)["denied"] == [f"{denied}/2/0/buy"]
        shop.await_status(denied)
        over = shop.tape("budget", denied, "--deny")
        assert (over.returncode, over.stderr.count("\n")) == (1, 1) and "has ended (TERMINAL)" in over.stderr
    finally:
        shop.close()


def run_of(line: str) -> bool:
    return line.startswith("tape ") and "r-0123456789ab" in line
