"""Tape keeps an AI agent's run alive across crashes. What an agent's author types is here, loaded when it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tape.core.kernel.errors import (
        BudgetExceeded,
        ChildFailed,
        Diverged,
        EffectFailed,
        GateTimeout,
        ModelFailed,
        NotApproved,
        Rejected,
        ResultUnrecordable,
        RunInterrupted,
        SampleFailed,
        TapeError,
        UsageError,
    )
    from tape.core.sdk.children import Child
    from tape.core.sdk.decorators import Agent, Tool, agent, model, tool
    from tape.core.sdk.effects import (
        Budget,
        Effect,
        Observation,
        absent,
        crash_point,
        current_effect,
        duplicate,
        idempotency_key,
        present,
        report_usage,
        unclear,
    )
    from tape.core.sdk.run import Run

_HOME = {
    "tape.core.kernel.errors": (
        "BudgetExceeded",
        "ChildFailed",
        "Diverged",
        "EffectFailed",
        "GateTimeout",
        "ModelFailed",
        "NotApproved",
        "Rejected",
        "ResultUnrecordable",
        "RunInterrupted",
        "SampleFailed",
        "TapeError",
        "UsageError",
    ),
    "tape.core.sdk.children": ("Child",),
    "tape.core.sdk.decorators": ("Agent", "Tool", "agent", "model", "tool"),
    "tape.core.sdk.effects": (
        "Budget",
        "Effect",
        "Observation",
        "absent",
        "crash_point",
        "current_effect",
        "duplicate",
        "idempotency_key",
        "present",
        "report_usage",
        "unclear",
    ),
    "tape.core.sdk.run": ("Run",),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "Agent",
    "Budget",
    "BudgetExceeded",
    "Child",
    "ChildFailed",
    "Diverged",
    "Effect",
    "EffectFailed",
    "GateTimeout",
    "ModelFailed",
    "NotApproved",
    "Observation",
    "Rejected",
    "ResultUnrecordable",
    "Run",
    "RunInterrupted",
    "SampleFailed",
    "TapeError",
    "Tool",
    "UsageError",
    "absent",
    "agent",
    "crash_point",
    "current_effect",
    "duplicate",
    "idempotency_key",
    "model",
    "present",
    "report_usage",
    "tool",
    "unclear",
]


def __getattr__(name: str) -> object:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module 'tape' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(module), name)
    globals()[name] = value
    return value
