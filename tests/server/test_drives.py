"""What a run is told on its own, when several things are committed at once."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from tape.core.kernel.events import BudgetAwaited, BudgetRaised
from tape.core.server.drives import Drives

AWAITED = BudgetAwaited(place="decision 2", run="A", unit="usd_micro", asked=4, cap=5, spent=5, reserved=0)
RAISED = BudgetRaised(unit="usd_micro", was=5, cap=9, actor="me", reason="")


def told(drives: Drives, sent: list[str], *entries: tuple[str, Any]) -> list[str]:
    """What the driver of run A gets for a commit of these."""
    commit: Any = [SimpleNamespace(run_id=run, seq=None, event=event) for run, event in entries]
    sent.clear()
    drives.note(commit)
    drives.push(commit)
    return list(sent)


def test_a_run_that_begins_to_wait_for_a_cap_while_another_is_raised_is_not_forgotten() -> None:
    sent: list[str] = []
    peer = SimpleNamespace(pushed={}, send=lambda frame: sent.append(frame["t"]))
    server: Any = SimpleNamespace(peers={1: peer})
    drives = Drives(server, server)
    drives._driving["A"] = (1, 1)
    told(drives, sent, ("B", RAISED), ("A", AWAITED))
    assert told(drives, sent, ("B", RAISED)) == ["budget"]
    assert told(drives, sent, ("B", RAISED)) == [], "it has been told, and has not said that it waits"
