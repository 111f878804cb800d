"""Back-off and the counting of crashes (invariant I13)."""

from __future__ import annotations

import pytest

from tape.core.kernel.policy import SECOND_US, AskPolicy, Backoff, RecoveryPolicy


def test_backoff_doubles_up_to_its_cap() -> None:
    backoff = Backoff(first_us=SECOND_US, cap_us=10 * SECOND_US)
    assert [backoff.delay_us(n) // SECOND_US for n in range(7)] == [0, 1, 2, 4, 8, 10, 10]
    assert backoff.delay_us(-3) == 0
    assert backoff.delay_us(10**9) == 10 * SECOND_US, "no number of failures is too large"


@pytest.mark.parametrize(("max_crashes", "stuck"), [(1, 3), (2, 3), (3, 3), (5, 5), (9, 9)])
def test_never_stuck_before_a_death_alone(max_crashes: int, stuck: int) -> None:
    policy = RecoveryPolicy(max_crashes=max_crashes)
    assert policy.stuck_after() == stuck
    assert not policy.alone(0) and not policy.alone(1)
    assert all(policy.alone(deaths) for deaths in range(2, stuck + 1))
    alone_deaths = [death for death in range(1, stuck + 1) if policy.alone(death - 1)]
    assert alone_deaths, "one of the deaths that make a run STUCK happened alone"


def test_the_first_redrive_starts_at_once() -> None:
    policy = RecoveryPolicy()
    assert [policy.delay_us(crashes) // SECOND_US for crashes in range(5)] == [0, 0, 1, 2, 4]


def test_asks_are_bounded() -> None:
    asks = AskPolicy()
    assert 0 < asks.max_asks < 20
    assert asks.backoff.delay_us(1) < SECOND_US < asks.backoff.cap_us < asks.timeout_us
