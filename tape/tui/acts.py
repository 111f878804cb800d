"""The acts of the person at the screen, as orders: pure functions from a scene. A plain text says why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tape.core.server.orders import Order
from tape.core.story_facts import blow
from tape.tui.crash_rows import Armed
from tape.tui.messages import Act, Strike
from tape.tui.scene import Scene, Selected

if TYPE_CHECKING:
    from tape.core.expect import ToolFacts
    from tape.core.kernel.points import Arm
    from tape.core.story import EffectFact
    from tape.core.verdict import Verdict

HOLD = "HOLD"
NO_RUN = "select a run first"
CONSOLE = "at the console"
READ_ONLY = "this journal was imported: it is only looked at, nothing drives or writes it"
SAME_INPUT: Any = object()


def armed_states(arms: tuple[Arm, ...], run_id: str | None) -> dict[str, Armed]:
    """What is armed at each point, for the selected run or for all."""
    states: dict[str, Armed] = {}
    for arm in arms:
        if arm.run_id in (None, run_id):
            how = Armed.RUN_TO if arm.death == HOLD else Armed.EACH if arm.each_run else Armed.ONCE
            states[arm.point.name] = how
    return states


def toggle(states: Mapping[str, Armed], point: str, death: str) -> tuple[Act, ...]:
    """Space on a point: armed in each run, then for one pass, then not."""
    now = states.get(point, Armed.NO)
    off = Act(Order("disarm", args={"at": point}, reason=CONSOLE), f"{point} is disarmed")
    if now is Armed.NO:
        return (arm(point, death, each_run=True),)
    return (off, arm(point, death, each_run=False)) if now is Armed.EACH else (off,)


def arm(point: str, death: str, *, each_run: bool, run_id: str | None = None) -> Act:
    death = blow(point, death)  # on the recovery's own path there is only one death
    args = {"at": point, "signal": death, "each_run": each_run}
    how = "in each run that passes it" if each_run else "at the next pass"
    return Act(Order("kill", run_id, args, reason=CONSOLE), f"{point} armed: {death} {how}")


def kill(scene: Scene, death: str) -> Act | str:
    """Kills the agent of the selected run, which is the one that drives it now and no later one."""
    if scene.selected is None:
        return NO_RUN
    run_id = scene.selected.run.id
    lease = scene.runs.leases.get(run_id)
    if lease is None:
        return f"{run_id} is not being driven now: nothing to kill; arm a point instead"
    signal = "KILL" if death == "LOST" else death
    return Act(
        Order("kill", run_id, {"signal": signal, "pid": lease.pid}, reason=CONSOLE),
        f"SIG{signal} to w{lease.worker}, pid {lease.pid}",
    )


def step(scene: Scene) -> Act:
    run_id = scene.selected.run.id if scene.selected and not scene.selected.run.ended else None
    return Act(Order("step", run_id, {}, reason=CONSOLE), f"{run_id or 'the next run'} stops at its next boundary")


def go(scene: Scene) -> Act:
    run_id = scene.selected.run.id if scene.selected and not scene.selected.run.ended else None
    return Act(Order("step", run_id, {"go": True}, reason=CONSOLE), f"{run_id or 'every run'} goes on")


def run_to(scene: Scene, point: str) -> Act:
    run_id = scene.selected.run.id if scene.selected and not scene.selected.run.ended else None
    return Act(
        Order("step", run_id, {"to": point}, reason=CONSOLE), f"{run_id or 'the next run'} stops when it passes {point}"
    )


def thaw() -> Act:
    return Act(Order("thaw", reason=CONSOLE), "frozen agents go on")


def start(agent: str | None, given: Any, recipe: tuple[Strike, ...] = ()) -> Act:
    return Act(Order("start", args={"agent": agent, "input": given, "key": None}, reason=CONSOLE), "started", recipe)


def repeat(selected: Selected | None, armed: Mapping[str, Armed] = {}) -> Act | str:
    """A fresh run with the input of the selected one, to die where that one died. What is armed already strikes by
    itself, and where a run is to stop it is not to die."""
    if selected is None:
        return NO_RUN
    died = [verdict for verdict in selected.verdicts if verdict.point]
    strikes = tuple(Strike(verdict.point, verdict.death) for verdict in died if not armed.get(verdict.point))
    again = start(selected.run.agent, selected.live.input, strikes)
    dies_at = [verdict.point for verdict in died if armed.get(verdict.point) is not Armed.RUN_TO]
    return replace(again, told=f"started, to die at {', '.join(dies_at)}") if dies_at else again


def cancel(run_id: str, reason: str) -> Act:
    return Act(Order("cancel", run_id, reason=reason), f"{run_id} is being cancelled")


def redrive(run_id: str, reason: str) -> Act:
    return Act(Order("redrive", run_id, reason=reason), f"{run_id} is taken up again")


def fork(run_id: str, at: int, given: Any = SAME_INPUT, reason: str = "") -> Act:
    args = {"at": at} if given is SAME_INPUT else {"at": at, "input": given}
    return Act(Order("fork", run_id, args, reason=reason or CONSOLE), f"forked from {run_id} at seq {at}")


def promote(run_id: str, reason: str) -> Act:
    return Act(Order("promote", run_id, reason=reason or CONSOLE), f"acts for {run_id} for real")


def undo(key: str, reason: str) -> Act:
    """An act of a run that goes on is undone."""
    return replace(resolve(key, "undo", None, reason), told=f"{key}: its act is being undone")


def close(key: str, reason: str) -> Act:
    return replace(resolve(key, "close", None, reason), told=f"{key}: its conflicts are closed")


def budget(run_id: str, unit: str, cap: int, reason: str) -> Act:
    """`unit` and `cap` as the journal has them: tokens, usd_micro, calls:<tool>."""
    from tape.core.render import amount

    order = Order("budget", run_id, {"caps": {unit: cap}}, reason=reason or CONSOLE)
    return Act(order, f"{run_id} may spend {amount(unit, cap)} from now on")


def deny_cap(run_id: str, reason: str) -> Act:
    return Act(
        Order("budget", run_id, {"deny": True}, reason=reason or CONSOLE), f"{run_id} is told that no cap is raised"
    )


def answer(run_id: str, gate: str, ordinal: int | None, value: str, reason: str) -> Act:
    args = {"gate": gate, "ordinal": ordinal, "value": value}
    return Act(Order("answer", run_id, args, reason=reason or CONSOLE), f"{run_id}: {gate} is answered, {value}")


def resolve(key: str, how: str, result: Any, reason: str) -> Act:
    run_id = key.partition("/")[0]
    args = {"key": key, "how": how, "result": result}
    return Act(Order("resolve", run_id, args, reason=reason), f"{key}: {how}")


# --- what is to be expected -------------------------------------------------------------------------------------


def effect_in_question(selected: Selected | None) -> EffectFact | None:
    """The open effect, or the last one."""
    if selected is None or not selected.story.effects:
        return None
    effects = selected.story.effects
    return next((effect for effect in effects if effect.status in ("PENDING", "UNKNOWN")), effects[-1])


def tool_facts(scene: Scene) -> ToolFacts | None:
    """The tool that the next crash is about: of the effect in question, else the project's most dangerous one."""
    from tape.core.expect import ToolFacts

    declared: list[Mapping[str, Any]] = (scene.manifest or {}).get("tools", [])
    tools = {tool["name"]: tool for tool in declared}
    effect = effect_in_question(scene.selected)
    upstream = scene.strip.contract[0].name if len(scene.strip.contract) == 1 else "upstream"
    if effect is not None and effect.tool in tools:
        return ToolFacts.from_mapping({**tools[effect.tool], "upstream": f"the {upstream}"})
    if effect is not None:
        return ToolFacts.from_mapping(
            {
                "name": effect.tool,
                "semantics": effect.semantics,
                "look_up": effect.look_up,
                "dispatch": effect.dispatch,
                "compensable": effect.compensable,
                "upstream": f"the {upstream}",
            }
        )
    order = ("non_idempotent", "idempotent", "read_only")
    found = sorted(declared, key=lambda tool: order.index(tool["semantics"]))
    return ToolFacts.from_mapping({**found[0], "upstream": f"the {upstream}"}) if found else None


def expectation(scene: Scene, point: str, death: str) -> str:
    from tape.core.expect import expect

    return expect(point, death, tool_facts(scene))


def last_verdict(selected: Selected | None) -> Verdict | None:
    return selected.verdicts[-1] if selected and selected.verdicts else None
