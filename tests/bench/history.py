"""What a turn of a long conversation costs: bytes in the journal, and the commit that records it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from tape.core.clock import SystemClock
from tape.core.journal import records, runs, workers
from tape.core.journal.records import Usage
from tape.core.journal.writer import Writer
from tape.core.kernel.events import Decision
from tape.core.kernel.identity import canonical_json
from tape.core.kernel.lifecycle import WorkerTrigger
from tape.core.kernel.policy import RecoveryPolicy
from tests.bench.figures import Figure, median

MESSAGE = "a word or two of what was said " * 20


def history_figures(folder: Path, turns: int) -> list[Figure]:
    """A run in which each request holds all that was said before; the last quarter against the first."""
    writer = Writer(folder / "history.db", SystemClock())
    run_id, epoch = _driven(writer)
    history: list[dict[str, str]] = []
    payload = 0
    sizes, took = [_size(writer)], [0.0]
    for turn in range(turns):
        for role in ("user", "assistant"):
            history.append({"role": role, "content": f"{turn} {MESSAGE}"})
            payload += len(canonical_json(history[-1]))
        request: Any = {"args": [list(history)], "kwargs": {}}
        decision = Decision(index=turn, name="ask", fingerprint="f" * 32, request=request, reply="ok")
        began = time.perf_counter()
        writer.apply(lambda tx, told=decision: records.record_decision(tx, run_id, epoch, told, Usage()))
        took.append((time.perf_counter() - began) * 1000)
        sizes.append(_size(writer))
    writer.close()
    part = max(1, turns // 4)
    first, last = (sizes[part] - sizes[0]) / part, (sizes[-1] - sizes[-1 - part]) / part
    return [
        Figure(
            "bytes per record above its payload",
            (sizes[-1] - sizes[0] - payload) / (2 * turns),
            400,
            unit="bytes",
            rounds=1,
            note=f"{turns} turns, each request holds all before",
        ),
        Figure(
            "bytes of a turn, last quarter",
            last,
            1.1,
            reference=first,
            against="the first quarter",
            unit="bytes",
            rounds=1,
        ),
        Figure(
            f"commit of turn {turns}, p50",
            median(took[-part:]),
            20,
            rounds=part,
            note="packing and finding what is stored",
        ),
    ]


def _driven(writer: Writer) -> tuple[str, int]:
    run_id = writer.apply(lambda tx: runs.start_run(tx, "agent", None))
    worker = writer.apply(lambda tx: workers.start_worker(tx, "nonce", 1, 1, "boot", "here"))
    writer.apply(lambda tx: workers.move_worker(tx, worker, WorkerTrigger.HELLO))
    granted = writer.apply(
        lambda tx: runs.grant(tx, run_id, worker, ttl_us=10**12, concurrency=1, recovery=RecoveryPolicy())
    )
    return run_id, granted.epoch


def _size(writer: Writer) -> int:
    text = "SELECT (SELECT sum(length(body) + length(hash)) FROM entry) + (SELECT total(length(body) + 32) FROM blob)"
    return int(writer.connection.execute(text).fetchone()[0])
