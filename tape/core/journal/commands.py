"""The commands that help a person, as the journal records them and lists show them."""

from __future__ import annotations

from collections.abc import Iterable
from shlex import quote


def resolve_commands(key: str) -> tuple[str, ...]:
    """For an effect or an obligation that only a person can settle."""
    return tuple(f"tape resolve {key} {how} --reason TEXT" for how in ("--confirm JSON", "--fail", "--retry"))


def answer_commands(run_id: str, gate: str, ordinal: int, options: Iterable[str]) -> tuple[str, ...]:
    """For a gate: one for each option, of exactly this instance."""
    return tuple(
        f"tape answer {run_id} {quote(gate)} {quote(option)} --ordinal {ordinal} --reason TEXT" for option in options
    )


def look_commands(run_id: str) -> tuple[str, ...]:
    return (f"tape doctor --dump-run {run_id}",)


def close_command(key: str) -> str:
    """For a conflict that a person has looked at."""
    return f"tape resolve {key} --close --reason TEXT"


def budget_commands(run_id: str, budget: str, unit: str, enough: int) -> tuple[str, ...]:
    """For an ask or a call of this run that waits for a cap of `budget`: the least that lets it go ahead, or none."""
    if unit == "usd_micro":
        cap = f"--usd {enough / 1_000_000:.6f}".rstrip("0").rstrip(".")
    else:
        cap = f"--tokens {enough}" if unit == "tokens" else f"--calls {quote(unit.removeprefix('calls:'))}={enough}"
    return f"tape budget {budget} {cap} --reason TEXT", f"tape budget {run_id} --deny --reason TEXT"
