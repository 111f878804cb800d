"""What the pool makes of starts that fail: no processes, a clock that stands still."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tape.core.clock import ManualClock
from tape.core.kernel.errors import EnvironmentTrouble, JournalUnavailable
from tape.core.kernel.policy import SECOND_US
from tape.reactors.pool import START_BACKOFF, Pool
from tape.reactors.voice import Voice

FULL = JournalUnavailable("the disk is full")


class Rig:
    """A pool that wants two processes: `asked` counts those that it has asked for, `said` is what a person reads."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.asked = 0
        self.said: list[str] = []
        self.server_has_ended = False
        config: Any = SimpleNamespace(workers=1, agents={})
        voice = Voice(trouble=self.said.append)
        self.pool = Pool(config, self.clock, voice, lambda: None, spare=1, patient=False, drain_seconds=1.0)
        server: Any = SimpleNamespace(peers={}, worker_started=lambda *_: self.asked, worker_died=self._died)
        supervisor: Any = SimpleNamespace(start=self._start)
        self.pool.open(server, supervisor)
        self.notices = self.pool.notices()

    def _start(self, *, anew: bool) -> None:
        self.asked += 1

    def _died(self, *_: object) -> None:
        if self.server_has_ended:
            raise EnvironmentTrouble("the server has ended")

    def fill(self) -> int:
        """How many more it asks for now."""
        before = self.asked
        self.pool.fill()
        return self.asked - before


def test_a_start_that_failed_is_asked_for_again_ever_more_slowly_and_told_once() -> None:
    rig = Rig()
    assert (rig.fill(), rig.fill()) == (2, 0)
    for failures in range(1, 9):
        rig.notices.failed(FULL)
        rig.notices.failed(FULL)  # both of them: one outage
        assert rig.fill() == 0
        rig.clock.advance(START_BACKOFF.delay_us(failures) / SECOND_US - 0.001)
        assert rig.fill() == 0, "it backs off"
        rig.clock.advance(0.001)
        assert rig.fill() == 2
    assert rig.said == ["no agent process can be started: the disk is full; it is tried again"]


def test_after_a_start_the_next_failure_is_a_new_one() -> None:
    rig = Rig()
    rig.fill()
    rig.notices.failed(FULL)
    rig.notices.started("nonce", 100, 7)
    rig.clock.advance(START_BACKOFF.first_us / SECOND_US)
    assert rig.fill() == 1, "in the place of the one that failed"
    rig.notices.failed(FULL)
    assert len(rig.said) == 2
    rig.clock.advance(START_BACKOFF.first_us / SECOND_US)
    assert rig.fill() == 1


def test_a_reload_does_not_wait_for_the_back_off() -> None:
    rig = Rig()
    rig.fill()
    rig.notices.failed(OSError(2, "No such file or directory"))
    rig.pool.reload("the code has changed")
    assert rig.fill() == 2


def test_who_waits_for_a_process_is_told_why_there_is_none() -> None:
    rig = Rig()
    rig.fill()
    rig.notices.failed(FULL)
    with pytest.raises(EnvironmentTrouble, match="within 0 s; no agent process can be started: the disk is full"):
        rig.pool.wait_ready(0)


def test_a_death_that_nobody_can_be_told_of_is_no_error_of_its_own() -> None:
    rig = Rig()
    rig.fill()
    number = rig.notices.started("nonce", 100, 7)
    rig.server_has_ended = True
    rig.notices.died(number, "SIGKILL", True)
    assert rig.asked == 3, "another in its place"
