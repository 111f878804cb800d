"""What a fan-out costs: a parent and its children, beside as many runs that nobody waits for."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from tape.core.config import load_config
from tape.core.kernel.events import Entry, RunMoved
from tape.core.kernel.lifecycle import RUN_ENDS
from tape.reactors.host import Host, Voice
from tests.bench.figures import Figure

PROJECT = Path(__file__).with_name("brood")
PATIENCE_SECONDS = 300.0


@dataclass
class _Ends:
    """How many runs have ended, and the most memory that any agent process had."""

    count: int = 0
    peak_mb: float = 0.0
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def hear(self, entries: list[Entry]) -> None:
        ended = sum(isinstance(entry.event, RunMoved) and entry.event.status in RUN_ENDS for entry in entries)
        if ended:
            with self._changed:
                self.count += ended
                self._changed.notify_all()

    def until(self, count: int, look: Callable[[], float]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.count < count:
            self.peak_mb = max(self.peak_mb, look())
            with self._changed:
                self._changed.wait_for(lambda: self.count >= count, 0.1)
            assert time.monotonic() < deadline, f"{self.count} of {count} runs have ended"


@dataclass(frozen=True)
class Fan:
    """One fan-out: seconds from the order to the parent's end, the seconds of as many single runs, the largest agent
    process in MB, how often the parent was driven."""

    seconds: float
    single_seconds: float
    peak_mb: float
    drives: int


def fan_out(folder: Path, count: int, *, workers: int = 2, concurrency: int = 50) -> Fan:
    shutil.copytree(PROJECT, folder)
    config = replace(load_config(folder, {}), workers=workers, concurrency=concurrency)
    ends = _Ends()
    host = Host(config, voice=Voice(entries=ends.hear))
    host.start()
    try:
        host.wait_ready()

        def largest() -> float:
            return max((_megabytes(peer.pid) for peer in list(host.server.peers.values())), default=0.0)

        begun = time.perf_counter()
        for number in range(count):
            host.start_run("little", number)
        ends.until(count, largest)
        single = time.perf_counter() - begun
        begun = time.perf_counter()
        mother = host.start_run("mother", count)
        ends.until(2 * count + 1, largest)
        seconds = time.perf_counter() - begun
        (drives,) = host.server.call(
            lambda tx: tx.connection.execute("SELECT drive FROM run WHERE id = ?", (mother,)).fetchone()
        )
        return Fan(seconds, single, ends.peak_mb, drives)
    finally:
        host.stop()


def _megabytes(pid: int) -> float:
    try:
        status = Path(f"/proc/{pid}/status").read_text("ascii")
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0.0)


def family_figures(folder: Path, count: int, rounds: int) -> list[Figure]:
    fans = [fan_out(folder / f"fan-{number}", count) for number in range(rounds)]
    fan = sorted(fans, key=lambda found: found.seconds)[len(fans) // 2]
    return [
        Figure(
            f"{count:,} children, start to the parent's end",
            fan.seconds * 1000,
            limit=2,
            reference=fan.single_seconds * 1000,
            against="as many single runs",
            rounds=rounds,
            note=f"the parent was driven {fan.drives} times",
        ),
        Figure("largest agent process of those", fan.peak_mb, limit=150, rounds=rounds, unit="MB"),
    ]
