"""Commands that strike agents, or stop them where one wants to look: kill, disarm, step, thaw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from tape.cli_common import FAILED, AsJson, Reason, hint, output, place_order, project
from tape.core.kernel.errors import UsageError

if TYPE_CHECKING:
    from tape.core.server.orders import Placed

OfTool = Annotated[str | None, typer.Option("--tool", metavar="T", help="Only at effects of this tool.")]
OfDecision = Annotated[
    int | None, typer.Option("--decision", min=0, metavar="N", help="Only in the turn of this decision.")
]
Nth = Annotated[int | None, typer.Option("--nth", min=1, metavar="N", help="Only at the n-th time it is passed.")]


class Signal(StrEnum):
    KILL = "KILL"
    TERM = "TERM"
    STOP = "STOP"
    LOST = "LOST"


def kill(
    run_id: Annotated[str | None, typer.Option("--run", metavar="RUN", help="The agent that drives this run.")] = None,
    at: Annotated[
        str | None, typer.Option("--at", metavar="POINT", help="Not now, but at a crash point, such as effect.acted.")
    ] = None,
    tool: OfTool = None,
    decision: OfDecision = None,
    nth: Nth = None,
    signal: Annotated[
        Signal,
        typer.Option("--signal", case_sensitive=False, help="How to die; LOST is a reply that does not arrive."),
    ] = Signal.KILL,
    each_run: Annotated[
        bool, typer.Option("--each-run", help="Stays armed, and strikes once in every run that passes it.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Kill the agent, now or at a crash point. Needs a server.

    \b
    Examples:
      tape kill
      tape kill --at effect.acted --tool wire_money
      tape kill --at decision.recorded --decision 1 --signal STOP
      tape kill --at effect.acted --each-run
    """
    from tape.core.kernel.points import find_point

    if at is not None:
        find_point(at)
    elif tool is not None or decision is not None or nth is not None or each_run:
        raise UsageError("--tool, --decision, --nth and --each-run belong to a crash point: add --at POINT")
    elif signal is Signal.LOST:
        raise UsageError("a reply can only be lost at a crash point: add --at POINT")
    if each_run and run_id is not None:
        raise UsageError("--each-run is for every run: leave --run out")
    args = {"at": at, **_narrowed(tool, decision, nth), "signal": str(signal), "each_run": each_run or None}
    placed = place_order(project(), "kill", run_id, args)
    if at is None:
        _print_pids(placed, "killed", "no agent to kill", _DONE[signal], as_json)
    elif as_json:
        output().json(placed.result)
    else:
        output().say(f"armed {at}: {signal}")


def _narrowed(tool: str | None, decision: int | None, nth: int | None) -> dict[str, Any]:
    return {"tool": tool, "decision_index": decision, "nth": 1 if nth is None else nth}


def disarm(
    point: Annotated[
        str | None, typer.Argument(metavar="[POINT]", help="Only this crash point.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Disarm crash points, all of them or one. Needs a server.

    \b
    Examples:
      tape disarm
      tape disarm effect.acted
    """
    from tape.core.kernel.points import find_point

    if point is not None:
        find_point(point)
    placed = place_order(project(), "disarm", args={"at": point})
    gone = cast(list[dict[str, Any]], placed.result["disarmed"])
    lines = [f"disarmed {arm['at']}: {arm['signal']}" for arm in gone]
    _print_done(placed, lines, "nothing is armed" if point is None else f"{point} is not armed", as_json)


def step(
    run_id: Annotated[
        str | None, typer.Option("--run", metavar="RUN", help="Only this run; else all that are being driven.")
    ] = None,
    to: Annotated[
        str | None, typer.Option("--to", metavar="POINT", help="Not to the next place, but to this crash point.")
    ] = None,
    tool: OfTool = None,
    decision: OfDecision = None,
    nth: Nth = None,
    go: Annotated[bool, typer.Option("--go", help="No more stops: let it run.")] = False,
    as_json: AsJson = False,
) -> None:
    """Let a run go to its next boundary and stop there. Needs a server.

    \b
    Examples:
      tape step
      tape step --to effect.acted --tool wire_money
      tape step --go
    """
    from tape.core.kernel.points import find_point

    if to is not None:
        find_point(to)
    elif tool is not None or decision is not None or nth is not None:
        raise UsageError("--tool, --decision and --nth narrow a crash point: add --to POINT")
    if to is not None and go:
        raise UsageError("a run cannot go on and stop at a point: leave one of --go and --to out")
    args = {"to": to, **_narrowed(tool, decision, nth)} if to is not None else {"go": True} if go else {}
    placed = place_order(project(), "step", run_id, args)
    lines = [_step_line(one) for one in cast(list[dict[str, Any]], placed.result["stepped"])]
    _print_done(placed, lines, "no run is in step mode" if run_id is None else f"{run_id} is not in step mode", as_json)


def _step_line(done: Mapping[str, Any]) -> str:
    """What became of one run."""
    run, stopped, target = done["run"] or "the next run", done["from"], done["to"] or "the next place"
    on = f"{run} goes on from {stopped}" if stopped else ""
    if done["go"]:
        return on or f"{run} does not stop"
    return f"{on} and stops at {target}" if on else f"{run} stops at {target}"


def thaw(reason: Reason = "", as_json: AsJson = False) -> None:
    """Continue frozen agents (`tape kill --signal STOP`). Needs a server.

    \b
    Examples:
      tape thaw
      tape thaw --reason "the drill is over"
    """
    placed = place_order(project(), "thaw", reason=reason)
    _print_pids(placed, "thawed", "no agent is stopped", "thawed", as_json)


_DONE = {Signal.KILL: "killed", Signal.TERM: "told to end", Signal.STOP: "stopped"}


def _print_pids(placed: Placed, what: str, none: str, done: str, as_json: bool) -> None:
    pids = cast(list[int], placed.result.get(what) or [])
    _print_done(placed, [f"{done} pid {pid}" for pid in pids], none, as_json)


def _print_done(placed: Placed, lines: Sequence[str], none: str, as_json: bool) -> None:
    """A line for each thing that was done. Exit 1 if there was nothing to do, as JSON too."""
    if as_json:
        output().json(placed.result)
    else:
        for line in lines:
            output().say(line)
    if not lines:
        hint(none)
        raise typer.Exit(FAILED)
