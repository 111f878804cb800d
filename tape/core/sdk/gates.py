"""Gates: the run waits for an answer, its worker is free. And approvals: an answer that is bound to one exact call.

Whether a call is approved is decided from what the tape has handed over so far, in the order of the calls: the same on
replay, and under `asyncio.gather`. The server checks it once more before anything is begun.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, cast

from tape.core.kernel import errors, identity
from tape.core.kernel.errors import UsageError
from tape.core.sdk.context import RunContext
from tape.core.sdk.decorators import Tool
from tape.core.sdk.replay import Body, Outcome, describe_gate
from tape.core.sdk.values import signature_of

LIMIT_SECONDS = 100 * 366 * 86_400
NAME_LIMIT = 200
OPTION_LIMIT = 200
PROMPT_LIMIT = 20_000
MOST_OPTIONS = 20

BoundCall = tuple[Tool[..., Any], tuple[Any, ...], dict[str, Any]]
"""What `tool.bind(...)` gives."""


@dataclass(slots=True)
class Approvals:
    """Which calls need an approval in this run, and which approvals are unused: `(tool, hash of the arguments)` to the
    gates that gave them, oldest first."""

    guarded: set[str] = field(default_factory=lambda: set())
    unused: dict[tuple[str, str], list[str]] = field(default_factory=lambda: {})

    def note_answer(self, gate: Body, answered: Body) -> None:
        """The first option is the approving one; an answer that came from another run approves nothing."""
        approves = gate.get("approves")
        if approves is None or answered.get("void") or answered["answer"] != gate["options"][0]:
            return
        bound = self.unused.setdefault((approves["tool"], approves["args_hash"]), [])
        bound.append(f"{gate['name']} {gate['ordinal']}")

    def take(self, tool: Tool[..., Any], args_hash: str) -> str | None:
        """Uses up an approval of this call; None if the tool needs none here. Raises NotApproved."""
        if not tool.options.needs_approval and tool.name not in self.guarded:
            return None
        bound = self.unused.get((tool.name, args_hash))
        if bound:
            return bound.pop(0)
        others = sorted({gate for (name, _), gates in self.unused.items() if name == tool.name for gate in gates})
        why = f"gate {others[0]} approved it with other arguments" if others else "no approval of it is left"
        raise errors.NotApproved(
            f"{tool.name} needs an approval of exactly these arguments: {why}; "
            f"ask for one with run.gate(..., approves={tool.name}.bind(...))"
        )

    def note_begun(self, tool: str, begun: Body) -> None:
        """The tape holds this call: what it used up is used up."""
        bound = self.unused.get((tool, begun["args_hash"])) if begun.get("approval") else None
        if bound and begun["approval"] in bound:
            bound.remove(begun["approval"])


class Gates:
    """`run.gate` of one drive."""

    def __init__(self, context: RunContext, approvals: Approvals) -> None:
        self._context = context
        self._approvals = approvals
        self._counts: dict[str, int] = {}

    async def gate(
        self,
        name: str,
        prompt: str,
        options: Sequence[str],
        timeout: float | None,
        on_timeout: str | None,
        approves: BoundCall | None,
    ) -> str:
        context = self._context
        context.check()
        body = _checked(name, prompt, options, timeout, on_timeout, approves)
        ordinal = self._counts.get(name, 0)
        self._counts[name] = ordinal + 1
        outcome: Outcome = ("gate", (name, ordinal))
        # Not the prompt: its words may be mended while a run waits.
        asked = [body[field] for field in ("options", "seconds", "on_timeout", "approves")]
        fingerprint = identity.fingerprint("gate", name, asked)
        gate = {**body, "ordinal": ordinal, "fingerprint": fingerprint}
        if body["approves"] is not None:
            self._approvals.guarded.add(body["approves"]["tool"])
        recorded = context.tape.gates.get((name, ordinal))
        if recorded is None:

            def open_gate() -> None:
                context.external.add(outcome)
                context.boundary("gate", {"gate": gate}, (outcome, None))

            context.perform(outcome, describe_gate(name, ordinal, body), open_gate)
        elif recorded["fingerprint"] != fingerprint:
            context.diverge(context.tape.describe(outcome), describe_gate(name, ordinal, body))
        else:
            context.note_call(outcome)
            context.external.add(outcome)
        answered = await context.outcome(outcome)
        self._approvals.note_answer(gate, answered)
        if answered["answer"] is None:
            raise errors.GateTimeout(f"gate {name} {ordinal}: nobody answered within {timeout:g} s")
        return answered["answer"]


def _checked(name: Any, prompt: Any, options: Any, timeout: Any, on_timeout: Any, approves: Any) -> Body:
    """The gate as JSON. Raises UsageError for what no gate can be."""
    if not isinstance(name, str) or not name.strip() or name != name.strip() or not name.isprintable():
        raise UsageError(f"run.gate: {name!r} is no name: one line of text without blanks around it, please")
    if len(name) > NAME_LIMIT:
        raise UsageError(f"run.gate: the name {name[:40] + '…'!r} is longer than {NAME_LIMIT} characters")
    if not isinstance(prompt, str) or len(prompt) > PROMPT_LIMIT:
        raise UsageError(f"run.gate({name!r}): prompt is a text of at most {PROMPT_LIMIT} characters")
    listed = _options(name, options)
    if timeout is not None and (
        isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout <= LIMIT_SECONDS
    ):
        raise UsageError(f"run.gate({name!r}): timeout is {timeout!r}; seconds, more than 0, up to a hundred years")
    if on_timeout is not None and timeout is None:
        raise UsageError(f"run.gate({name!r}): on_timeout is for a gate with a timeout; add timeout=SECONDS")
    if on_timeout is not None and on_timeout not in listed:
        near = get_close_matches(str(on_timeout), listed, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"it is one of: {', '.join(listed)}"
        raise UsageError(f"run.gate({name!r}): on_timeout is {on_timeout!r}; {hint}")
    body = {
        "name": name,
        "prompt": prompt,
        "options": listed,
        "seconds": None if timeout is None else float(timeout),
        "on_timeout": on_timeout,
        "approves": _bound(name, approves),
    }
    identity.check_json(body)
    return body


def _options(name: str, options: Any) -> list[str]:
    listed: list[Any] = [] if isinstance(options, str | bytes) or not isinstance(options, Sequence) else [*options]
    texts = all(isinstance(option, str) and option.strip() and len(option) <= OPTION_LIMIT for option in listed)
    if not texts or not 1 <= len(listed) <= MOST_OPTIONS or len({*listed}) != len(listed):
        raise UsageError(
            f"run.gate({name!r}): options are 1 to {MOST_OPTIONS} different texts of 1 to {OPTION_LIMIT} characters, "
            f"such as ('approve', 'deny')"
        )
    return listed


def _bound(name: str, approves: Any) -> Body | None:
    """The exact call: its arguments as they would stand in its record, and their hash."""
    if approves is None:
        return None
    if not _is_bound(approves):
        raise UsageError(f"run.gate({name!r}): approves is a call as a value, such as wire_money.bind(to='ACME')")
    tool, args, kwargs = cast("BoundCall", approves)
    arguments = signature_of(tool.function).bind(args, kwargs)
    signature_of(tool.function).call_arguments(arguments)  # a call that could not be made cannot be approved
    return {"tool": tool.name, "args": arguments, "args_hash": identity.hash_json(arguments)}


def _is_bound(approves: Any) -> bool:
    if not isinstance(approves, tuple):
        return False
    parts = cast("tuple[Any, ...]", approves)
    return len(parts) == 3 and isinstance(parts[0], Tool)
