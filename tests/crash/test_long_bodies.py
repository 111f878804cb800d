"""Bodies that take longer than a lease lives: heartbeats of their own keep it alive."""

from __future__ import annotations

import pytest

from tests.crash.stage import Stage
from tests.crash.test_points import effect_of


@pytest.mark.parametrize("tool", ["linger", "linger_async"])
def test_a_body_longer_than_the_lease_keeps_it(stage: Stage, tool: str) -> None:
    """In a thread, and on the event loop: one drive, one attempt."""
    run = stage.run(["ask"], ["call", tool, 7], ["ask"])
    assert stage.until_rest(run) == "TERMINAL"
    effect = effect_of(stage, run, tool)
    assert (effect["status"], effect["resolution"], effect["attempts"]) == ("CONFIRMED", "returned", 1)
    assert len(stage.watch.of("lease_granted", run)) == 1
    (begun,) = (entry for entry in stage.watch.entries if entry.event.kind == "effect_begun")
    (ended,) = (entry for entry in stage.watch.entries if entry.event.kind == "effect_ended")
    assert ended.at_us - begun.at_us > 2_000_000, "longer than the lease's two seconds"


def test_one_that_is_over_its_own_time_is_unknown_not_failed(stage: Stage) -> None:
    """The body was cancelled after it had acted: it is asked about, and found."""
    run = stage.run(["call", "hasty", 7])
    assert stage.until_rest(run) == "TERMINAL"
    effect = effect_of(stage, run, "hasty")
    assert (effect["status"], effect["resolution"], effect["attempts"]) == ("CONFIRMED", "observed", 1)
    (over,) = stage.watch.of("attempt_ended", run, what="body")
    assert over.how == "timed out"


def test_reasons_of_orders_stand_in_the_journal(stage: Stage) -> None:
    run = stage.run(["sleep", 60])
    stage.until_status(run, "WAITING")
    stage.order("thaw", reason="the drill is over")
    stage.order("cancel", run, reason="wrong invoice")
    assert stage.until_rest(run) == "CANCELLED"
    told = {order.verb: (order.actor, order.reason) for order in stage.watch.of("order_placed")}
    assert told == {"thaw": ("tester", "the drill is over"), "cancel": ("tester", "wrong invoice")}
