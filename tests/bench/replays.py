"""How long today's code takes to go over a tape of 1,000 entries, once its process is up."""

from __future__ import annotations

import statistics
from pathlib import Path

from tape.core.clock import SystemClock
from tape.core.config import load_config
from tape.core.journal import effects, records, runs, workers
from tape.core.journal.effects import Call, Ending, ToolPolicy
from tape.core.journal.records import Usage
from tape.core.journal.transaction import Tx
from tape.core.journal.writer import Writer
from tape.core.kernel.events import Decision
from tape.core.kernel.identity import fingerprint
from tape.core.kernel.lifecycle import EffectStatus, WorkerTrigger
from tape.core.kernel.policy import RecoveryPolicy
from tape.lab.replay import Verdict, replay_run
from tests.bench.figures import Figure

TURNS = 250
"""Of four entries each."""
AGENT = """
import tape

@tape.tool(semantics="idempotent")
async def act(n: int) -> int:
    raise AssertionError("entered")

async def think(n: int) -> int:
    raise AssertionError("asked")

@tape.agent
async def long(run: tape.Run, turns: int) -> None:
    for turn in range(turns):
        await act(await run.decide(think, turn))
"""


def replay_figure(folder: Path, *, rounds: int) -> Figure:
    """`AGENT` over a tape that the journal's own verbs have written."""
    root = folder / "replays"
    root.mkdir()
    (root / "app.py").write_text(AGENT)
    (root / "tape.yaml").write_text("name: t\nagent: app:long\njournal: sqlite:///dev.db\n")
    config, clock = load_config(root, {}), SystemClock()
    writer = Writer(config.journal, clock)
    run_id = writer.apply(lambda tx: _record(tx, clock))
    writer.close()
    took: list[float] = []
    for _ in range(rounds):
        found = replay_run(config, run_id, clock)
        assert found.verdict is Verdict.SO_FAR and found.records == 4 * TURNS + 1, found
        took.append(found.replay_us / 1000)
    return Figure("replay of 1,000 entries, p50", statistics.median(took), limit=100, rounds=rounds)


def _record(tx: Tx, clock: SystemClock) -> str:
    run_id = runs.start_run(tx, "long", TURNS)
    worker = workers.start_worker(tx, clock.nonce(), 100, 7, clock.boot_id, "here")
    workers.move_worker(tx, worker, WorkerTrigger.HELLO)
    epoch = runs.grant(tx, run_id, worker, ttl_us=10**12, concurrency=9, recovery=RecoveryPolicy()).epoch
    for turn in range(TURNS):
        request = {"args": [turn], "kwargs": {}}
        asked = fingerprint("decision", "think", request)
        decision = Decision(index=turn, name="think", fingerprint=asked, request=request, reply=turn)
        records.record_decision(tx, run_id, epoch, decision, Usage())
        call = Call(turn, 0, "act", {"n": turn}, ToolPolicy())
        effects.begin_effect(tx, run_id, epoch, call, fingerprint("effect", "act", {"n": turn}))
        ending = Ending(EffectStatus.CONFIRMED, turn)
        effects.end_effect(tx, run_id, epoch, f"{run_id}/{turn}/0/act", 1, ending, None)
    return run_id
