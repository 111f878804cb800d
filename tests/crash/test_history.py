"""Long conversations under kills, bundles beside a server, and old runs that go while agents work: real processes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tape.core.bundles import export_run, import_file
from tape.core.clock import SystemClock
from tape.core.journal.audit import audit
from tape.core.journal.audit_facts import Severity
from tape.core.journal.views import open_reader
from tape.core.server.collecting import collect
from tests.crash.stage import ENDS, Stage

Opener = Callable[..., Stage]
TURNS = 6


def wrong(path: Path) -> list[str]:
    with open_reader(path) as reader:
        return [one.what for one in audit(reader).findings if one.severity is not Severity.NOTE]


def conversation(run_id: str, turns: int) -> list[dict[str, str]]:
    messages: list[dict[str, str]] = []
    for index in range(turns):
        messages.append({"role": "user", "content": f"{run_id} {len(messages)} {'question ' * 20}"})
        answer = "answer " * (2_000 if index == 2 else 30)
        messages.append({"role": "assistant", "content": f"{run_id} {len(messages)} {answer}"})
    return messages


@pytest.mark.parametrize("point", ["decision.asking", "decision.replied", "decision.recorded", "effect.acted"])
def test_a_conversation_survives_a_kill_with_every_request_whole(stage: Stage, point: str) -> None:
    where: dict[str, Any] = {"tool": "book"} if point == "effect.acted" else {"decision_index": 4}
    stage.arm(point, **where)
    run = stage.run(["talk", TURNS], ["call", "book", 1], ["talk", 1])
    assert stage.until_rest(run) == "TERMINAL"
    assert stage.reached(point) == 1
    stage.close()
    with open_reader(stage.journal) as reader:
        asked = [one.request["args"] for one in reader.dump(run).decisions]
        messages = reader.fetch("SELECT count(*) FROM blob WHERE body LIKE '%\"role\"%'")[0][0]
    whole = conversation(run, TURNS + 1)
    assert asked == [[run, index, whole[: 2 * index + 1]] for index in range(TURNS + 1)]
    assert messages == 2 * TURNS + 1  # each once: a long reply and the message that it became are one value
    assert wrong(stage.journal) == []


def test_a_run_goes_out_while_it_is_driven_and_comes_in_open(stage: Stage, tmp_path: Path) -> None:
    run = stage.run(["talk", 3], ["call", "book", 1], ["sleep", 600], ["ask"])
    assert stage.until_status(run, "WAITING") == "WAITING"
    export_run(stage.journal, run, tmp_path / "a.tape", redact=True, redact_values=False)
    path = import_file(tmp_path / "a.tape", tmp_path / "elsewhere.db", None).file
    assert wrong(path) == []
    with open_reader(path) as inside, open_reader(stage.journal) as outside:
        assert inside.run(run).status == "WAITING"
        assert [one.request for one in inside.dump(run).decisions] == [
            one.request for one in outside.dump(run).decisions
        ]
    stage.order("cancel", run)
    assert stage.until_rest(run) == "CANCELLED"


def test_old_runs_go_while_agents_work(open_stage: Opener) -> None:
    """Runs that failed go, through the server, while others are driven and killed: none of those notices."""
    stage = open_stage(workers=2, concurrency=2)
    old = [stage.run(["talk", 3], ["fail"]) for _ in range(8)]
    for run in old:
        assert stage.until_rest(run) == "FAILED"
    stage.arm("effect.acted", tool="book")
    stage.arm("decision.replied", decision_index=7)
    steps = [["talk", 5], ["call", "book", 1], ["talk", 5], ["call", "put", 2], ["ask"]]
    young = [stage.run(*steps) for _ in range(4)]
    gone: list[str] = []
    rounds = 0
    with ThreadPoolExecutor(1) as pool:
        while not all(stage.status(run) in ENDS for run in young) or len(gone) < len(old):
            work = pool.submit(collect, stage.config, SystemClock(), {"failed": 0}, dry_run=False, actor="tester@here")
            done = work.result(30)
            assert done.freed is None
            gone += done.removal.runs
            rounds += 1
            assert rounds < 2_000
    assert sorted(gone) == sorted(old)
    for run in young:
        assert stage.until_rest(run) == "TERMINAL"
        assert len(stage.acts(run)) == 2
    assert len(stage.watch.of("worker_died", proven=True)) >= 2
    stage.close()
    with open_reader(stage.journal) as reader:
        assert [run.id for run in reader.runs()] == young[::-1]
        assert len(reader.dump(young[0]).decisions) == 11
        [values] = reader.fetch("SELECT count(*) FROM blob WHERE body LIKE '%question%'")
    assert values == (4 * 10,)
    assert wrong(stage.journal) == []
