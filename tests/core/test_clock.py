"""The clocks."""

from __future__ import annotations

from tape.core.clock import SkewedClock, SystemClock

HOUR_US = 3_600_000_000


def test_a_clock_that_is_put_forward_keeps_its_lead() -> None:
    real, skewed = SystemClock(), SkewedClock()
    before = real.wall_us()
    skewed.advance(3600)
    assert skewed.skew_us == HOUR_US
    assert before + HOUR_US <= skewed.wall_us() <= real.wall_us() + HOUR_US
    assert skewed.boot_us() - real.boot_us() > HOUR_US - 10_000_000
    assert (skewed.boot_id, real.skew_us) == (real.boot_id, 0)
