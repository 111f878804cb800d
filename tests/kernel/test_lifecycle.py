"""Every state under every trigger, against what contract.md section 3 says in words."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import pytest

from tape.core.kernel import lifecycle
from tape.core.kernel.errors import IllegalTransition

# trigger: (from these states, to this state). Whatever is not written here is illegal.
LAW: dict[str, dict[str, tuple[str, str]]] = {
    "RUN": {
        # "RUNNABLE -> RUNNING (leased)"
        "grant": ("RUNNABLE", "RUNNING"),
        # a drive that ends with nothing to wait for
        "release": ("RUNNING", "RUNNABLE"),
        # "WAITING (gate, timer, child or unsettled effect; no lease)"; a stuck one by a decision that leaves others
        # unsettled, a runnable one if a key runs out before it is driven
        "wait": ("RUNNING RUNNABLE STUCK", "WAITING"),
        # "-> RUNNABLE by redrive or by the last resolve"
        "wake": ("WAITING STUCK", "RUNNABLE"),
        # "STUCK needs a person"
        "stick": ("RUNNABLE RUNNING WAITING COMPENSATING", "STUCK"),
        # "COMPENSATING while obligations are open"
        "owe": ("RUNNABLE RUNNING WAITING STUCK", "COMPENSATING"),
        # "run_ended is the agent's last record": only a driven run ends by itself, or one that has undone everything
        "complete": ("RUNNING COMPENSATING", "TERMINAL"),
        "fail": ("RUNNING COMPENSATING", "FAILED"),
        # a person cancels whatever has not ended
        "cancel": ("RUNNABLE RUNNING WAITING STUCK COMPENSATING", "CANCELLED"),
    },
    "EFFECT": {
        "doubt": ("PENDING", "UNKNOWN"),
        "confirm": ("PENDING UNKNOWN", "CONFIRMED"),
        "fail": ("PENDING UNKNOWN", "FAILED"),
    },
    "OBLIGATION": {
        "owe": ("ARMED STUCK", "DUE"),
        "claim": ("DUE", "CLAIMED"),
        "return": ("CLAIMED", "DUE"),
        "fulfil": ("CLAIMED STUCK", "DONE"),
        "stick": ("DUE CLAIMED", "STUCK"),
        "drop": ("ARMED STUCK", "DROPPED"),
    },
    "LEASE": {
        "release": ("LIVE", "RELEASED"),
        "die": ("LIVE", "DIED"),
        "expire": ("LIVE", "EXPIRED"),
    },
    "TIMER": {"fire": ("SET", "FIRED"), "drop": ("SET", "DROPPED")},
    "GATE": {"open": ("EARLY", "ANSWERED"), "answer": ("OPEN", "ANSWERED"), "drop": ("EARLY OPEN", "DROPPED")},
    "WORKER": {
        "hello": ("STARTED", "READY"),
        "freeze": ("READY", "FROZEN"),
        "thaw": ("FROZEN", "READY"),
        "die": ("STARTED READY FROZEN", "DEAD"),
    },
}
FURTHER_STARTS = {"GATE": {lifecycle.GateStatus.OPEN}}
ENDS = {
    "RUN": {"TERMINAL", "FAILED", "CANCELLED"},
    "EFFECT": {"CONFIRMED", "FAILED"},
    "OBLIGATION": {"DONE", "DROPPED"},
    "LEASE": {"RELEASED", "DIED", "EXPIRED"},
    "TIMER": {"FIRED", "DROPPED"},
    "GATE": {"ANSWERED", "DROPPED"},
    "WORKER": {"DEAD"},
}
TYPES: dict[str, tuple[type[StrEnum], type[StrEnum]]] = {
    "RUN": (lifecycle.RunStatus, lifecycle.RunTrigger),
    "EFFECT": (lifecycle.EffectStatus, lifecycle.EffectTrigger),
    "OBLIGATION": (lifecycle.ObligationStatus, lifecycle.ObligationTrigger),
    "LEASE": (lifecycle.LeaseStatus, lifecycle.LeaseTrigger),
    "TIMER": (lifecycle.TimerStatus, lifecycle.TimerTrigger),
    "GATE": (lifecycle.GateStatus, lifecycle.GateTrigger),
    "WORKER": (lifecycle.WorkerStatus, lifecycle.WorkerTrigger),
}
PRODUCT = [
    (machine, state, trigger)
    for machine, (states, triggers) in TYPES.items()
    for state in states
    for trigger in triggers
]


def table(machine: str) -> Mapping[tuple[Any, Any], Any]:
    return getattr(lifecycle, machine)


@pytest.mark.parametrize(("machine", "state", "trigger"), PRODUCT, ids=lambda part: str(part))
def test_every_state_under_every_trigger(machine: str, state: StrEnum, trigger: StrEnum) -> None:
    sources, target = LAW[machine][trigger]
    if state in sources.split():
        assert lifecycle.step(table(machine), state, trigger) == target
    else:
        with pytest.raises(IllegalTransition, match=f"{state} cannot {trigger}"):
            lifecycle.step(table(machine), state, trigger)


@pytest.mark.parametrize("machine", TYPES)
def test_ends_are_final_and_everything_else_can_move(machine: str) -> None:
    leaves = {str(state) for state, _ in table(machine)}
    assert {str(state) for state in TYPES[machine][0]} - leaves == ENDS[machine]


@pytest.mark.parametrize("machine", TYPES)
def test_every_state_is_reached_from_the_first(machine: str) -> None:
    states = list(TYPES[machine][0])
    reached, found = {states[0], *FURTHER_STARTS.get(machine, ())}, 0
    while len(reached) != found:
        found = len(reached)
        reached |= {after for (before, _), after in table(machine).items() if before in reached}
    assert reached == set(states)


def test_named_sets_agree_with_the_tables() -> None:
    assert {str(status) for status in lifecycle.RUN_ENDS} == ENDS["RUN"]
    assert {str(status) for status in lifecycle.EFFECT_ENDS} == ENDS["EFFECT"]
    assert {str(status) for status in lifecycle.OBLIGATION_OPEN} == {"DUE", "CLAIMED", "STUCK"}
    for end, trigger in lifecycle.END_TRIGGER.items():
        assert lifecycle.RUN[lifecycle.RunStatus.COMPENSATING, trigger] is end
