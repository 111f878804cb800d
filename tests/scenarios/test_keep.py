"""`tape scenario run --keep`, and what it says to a program that watches (`--events`)."""

from __future__ import annotations

import json
from pathlib import Path

from tape.core.journal.views import open_reader
from tests.dev.harness import Project

WRONG = "name: two wires are wanted\ninput: pay invoice 7\nexpect:\n  upstream: {bank.wires: 2}\n"


def kept(project: Project) -> list[str]:
    return sorted(path.name for path in (project.folder / ".tape" / "scenarios").glob("*"))


def write(project: Project, file: str, text: str) -> Path:
    path = project.folder / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def test_all_journals_can_be_kept_and_opened(project: Project) -> None:
    files = ("scenarios/mid-wire.yaml", "scenarios/frozen.yaml")
    done = project.tape("scenario", "run", *files, "--keep", "all", "--json")
    assert done.returncode == 0, done.stdout
    assert kept(project) == ["frozen", "mid-wire"]
    for result in json.loads(done.stdout):
        journal = Path(result["journal"])
        assert list(journal.parent.glob("bank.jsonl"))
        with open_reader(journal) as reader:
            assert reader.entries(run_id=result["run"])
    assert project.tape("scenario", "run", files[0]).returncode == 0
    assert kept(project) == ["frozen"], "played again, and held: nothing is kept unless it is asked for"


def test_each_file_is_told_as_it_ends(project: Project) -> None:
    write(project, "more/wrong.yaml", WRONG)
    done = project.tape("scenario", "run", "--events", "--keep", "all", "scenarios/mid-wire.yaml", "more")
    assert done.returncode == 1
    *results, last = [json.loads(line) for line in done.stdout.splitlines()]
    assert last == {"done": 2}
    told = {result["result"]["number"]: result["result"] for result in results}
    assert [told[0]["file"], told[0]["ok"], told[0]["kills"]] == ["scenarios/mid-wire.yaml", True, 1]
    assert [told[1]["file"], told[1]["ok"]] == ["more/wrong.yaml", False]
    assert told[1]["misses"] == [{"where": "more/wrong.yaml:4: upstream.bank.wires", "expected": "2", "found": "1"}]
    assert kept(project) == ["mid-wire", "wrong"]


def test_mistakes_are_told_too(project: Project) -> None:
    write(project, "more/a.yaml", "name: x\nagnt: y\n")
    write(project, "more/b.yaml", "name: x\nagent: clerk\n")
    done = project.tape("scenario", "run", "--events", "more")
    assert done.returncode == 2
    (told,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line.split(": ")[0] for line in told["error"].splitlines()] == ["more/a.yaml:2", "more/b.yaml:2"]
    assert done.stderr.startswith("tape: more/a.yaml:2: agnt")
    assert "Traceback" not in done.stderr
