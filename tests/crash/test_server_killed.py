"""The server itself is killed, and its agents die with it: whatever the moment, the next one takes everything up."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tape.core.config import load_config
from tape.core.server.orders import Order, place
from tests.crash import checker
from tests.crash.checker import Evidence, Promise
from tests.crash.layout import Upstreams, lay_out, surroundings
from tests.crash.stage import DEADLINE_SECONDS, REST

ROOT = Path(__file__).resolve().parents[2]


class Served:
    """A project whose server is another process: started, killed, started again."""

    def __init__(self, folder: Path, upstreams: Upstreams, **settings: Any) -> None:
        self.folder = folder
        self.upstreams = upstreams
        self.root = lay_out(folder, **settings)
        self.config = load_config(self.root, {})
        self.environment = {**os.environ, **surroundings(folder, upstreams, 0.4)}
        self.facts: list[dict[str, Any]] = []
        self.changed = threading.Condition()
        self.kills = 0
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        with self.changed:
            self.facts = [fact for fact in self.facts if "ready" not in fact]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.serve", str(self.root)],
            cwd=ROOT,
            env={**self.environment, "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        threading.Thread(target=self._hear, args=(self.process,), daemon=True).start()

    def _hear(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            with self.changed:
                self.facts.append(json.loads(line))
                self.changed.notify_all()
        with self.changed:
            self.changed.notify_all()

    def kill(self) -> None:
        """SIGKILL to the server alone: its agents are left to themselves."""
        assert self.process is not None
        self.kills += 1
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            assert self.process.stdin is not None
            self.process.stdin.close()
            self.process.wait(DEADLINE_SECONDS)

    def until(self, happened: Any, what: str) -> Any:
        deadline = time.monotonic() + DEADLINE_SECONDS
        with self.changed:
            while True:
                found = happened()
                if found:
                    return found
                left = deadline - time.monotonic()
                if left <= 0 or not self.changed.wait(left):
                    tail = "\n".join(str(fact)[:260] for fact in self.facts[-40:])
                    raise AssertionError(f"not within {DEADLINE_SECONDS:g} s: {what}\n{tail}")

    def until_ready(self) -> None:
        self.until(lambda: any("ready" in fact for fact in self.facts), "a server is ready")

    def until_kind(self, kind: str, count: int) -> None:
        self.until(lambda: self.count(kind) >= count, f"{count} x {kind}")

    def count(self, kind: str) -> int:
        return sum(fact.get("kind") == kind for fact in self.facts)

    def arm(self, point: str, nth: int = 1) -> None:
        assert self.process is not None and self.process.stdin is not None
        self.process.stdin.write(json.dumps({"at": point, "nth": nth}) + "\n")
        self.process.stdin.flush()

    def run(self, *steps: Any, key: str | None = None) -> str:
        given = {"agent": "script", "input": [list(step) for step in steps], "key": key}
        return place(self.config, Order("start", None, given, "tester", "")).result["run"]

    def status(self, run: str) -> str:
        """As the journal says: a killed server may have committed what it told nobody."""
        with closing(sqlite3.connect(f"file:{self.config.journal}?mode=ro", uri=True)) as journal:
            return journal.execute("SELECT status FROM run WHERE id = ?", (run,)).fetchone()[0]

    def until_rest(self, run: str) -> str:
        return self.until(lambda: self.status(run) if self.status(run) in REST else "", f"{run} is at rest")

    def evidence(self) -> Evidence:
        logs = self.folder / "logs"
        return Evidence(self.config.journal, self.upstreams.ledgers, logs / "questions.jsonl", logs / "bodies.jsonl")

    def judge(self) -> None:
        recovery = self.config.recovery.backoff
        promise = Promise(first_backoff_us=recovery.first_us, longest_backoff_us=recovery.cap_us)
        findings = [str(finding) for finding in checker.judge(self.evidence(), promise)]
        findings += [f"lives on: {process}" for process in checker.living_with_nonces(self.config.journal)]
        assert not findings, "\n".join(findings)

    def acts(self, run: str) -> list[dict[str, Any]]:
        seen = checker.read(self.evidence())
        return [act for key, acts in seen.acts.items() for act in acts if key.startswith(f"{run}/")]


@pytest.fixture
def served(tmp_path: Path, upstreams: Upstreams, counted: Callable[..., None]) -> Iterator[Served]:
    served = Served(tmp_path / "served", upstreams, workers=2, concurrency=2)
    yield served
    served.stop()
    counted(served.evidence(), servers=served.kills)
    served.judge()
    upstreams.quiet()


STEPS = [
    ["ask"], ["call", "wire", 1], ["batch", [["put", 2], ["wire_async", 3], ["mail_wire", 4], ["put_seen", 5]]],
    ["ask"], ["uuid"], ["carry"], ["sleep", 0.1], ["call", "book", 6], ["ask"],
]  # fmt: skip
ACTING = 7


@pytest.mark.parametrize(
    ("kind", "nth"),
    [
        ("run_started", 1),
        ("lease_granted", 1),
        ("model_asked", 1),
        ("decision", 2),
        ("effect_begun", 1),
        ("effect_begun", 4),
        ("effect_ended", 2),
        ("timer_set", 1),
        ("attempt_started", 1),
        ("run_ended", 1),
    ],
)
def test_killed_after(served: Served, kind: str, nth: int) -> None:
    """Killed as soon as an entry is told: three times, with three runs under way."""
    served.start()
    served.until_ready()
    runs = [served.run(*STEPS) for _ in range(3)]
    for turn in range(3):
        before = served.count(kind) if turn else 0
        served.until(
            lambda before=before: served.count(kind) >= before + nth or all(served.status(run) in REST for run in runs),
            f"{kind} number {nth}",
        )
        served.kill()
        served.start()
    for run in runs:
        assert served.until_rest(run) == "TERMINAL"
        assert len(served.acts(run)) == ACTING


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_at_random_moments(served: Served, seed: int) -> None:
    """Ten servers die at random moments, with agents killed at points in between; nothing is lost or doubled."""
    moments = random.Random(seed)
    served.start()
    served.until_ready()
    runs = [served.run(*STEPS, key=f"run {number}") for number in range(6)]
    for turn in range(10):
        with served.changed:
            served.changed.wait(moments.uniform(0.0, 0.1))
        if turn % 3 == 1:
            served.until_ready()
            served.arm(moments.choice(["effect.acted", "effect.begun", "observe.answered", "dispatch.acted"]))
        time.sleep(moments.uniform(0.05, 0.6))  # any moment: of starting, of recovering, of driving
        served.kill()
        served.start()
    assert [served.run(*STEPS, key=f"run {number}") for number in range(6)] == runs, "a start key is durable, too"
    for run in runs:
        assert served.until_rest(run) == "TERMINAL"
        assert len(served.acts(run)) == ACTING
    assert served.kills == 10


def test_agents_die_with_their_server(served: Served) -> None:
    """No agent acts on without a server: after the next one is up, nobody of the earlier one's lives."""
    served.start()
    served.until_ready()
    served.upstreams.bank.set_faults([{"kind": "slow", "delay": "300ms", "collection": "wire"}])
    run = served.run(["ask"], ["call", "wire", 1], ["ask"])
    served.until_kind("effect_begun", 1)
    served.kill()
    left = checker.living_with_nonces(served.config.journal)
    deadline = time.monotonic() + DEADLINE_SECONDS
    while left and time.monotonic() < deadline:
        with served.changed:
            served.changed.wait(0.01)
        left = checker.living_with_nonces(served.config.journal)
    assert not left, "the agents end without being told"
    served.start()
    assert served.until_rest(run) == "TERMINAL"
    assert len(served.acts(run)) == 1


def test_two_servers_for_one_journal(served: Served) -> None:
    """The second is refused in one line and changes nothing."""
    served.start()
    served.until_ready()
    run = served.run(*STEPS)
    second = subprocess.run(
        [sys.executable, "-m", "tests.crash.serve", str(served.root)],
        cwd=ROOT,
        env=served.environment,
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        stdin=subprocess.DEVNULL,
    )
    assert "another server" in second.stderr
    assert served.until_rest(run) == "TERMINAL"
