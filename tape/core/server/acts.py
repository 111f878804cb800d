"""What only a running server can do: end, stop and continue its own agents, arm crash points, step through runs."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from tape.core.journal import runs, workers
from tape.core.kernel.errors import Refused, TapeError, UsageError
from tape.core.kernel.lifecycle import RUN_ENDS
from tape.core.kernel.points import Arm, Death, Stage, find_point
from tape.core.server.server import Server
from tape.core.server.supervisor import Supervisor

Acted = dict[str, Any]


class SupervisedEnder:
    """The supervisor as the server's `Ender`."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor

    def kill(self, worker: int, why: str) -> int | None:
        return self._supervisor.kill(worker, why)

    def terminate(self, worker: int, why: str) -> int | None:
        return self._supervisor.kill(worker, why, signal.SIGTERM)

    def freeze(self, worker: int) -> int | None:
        return self._supervisor.kill(worker, "frozen", signal.SIGSTOP)

    def thaw(self, worker: int) -> int | None:
        return self._supervisor.kill(worker, "thawed", signal.SIGCONT)


def arm_of(run_id: str | None, args: Mapping[str, Any], order: int | None = None) -> Arm:
    """The arm that an order's args describe. Raises UsageError."""
    nth = args.get("nth") or 1
    if not isinstance(nth, int) or nth < 1:
        raise UsageError(f"nth counts from 1, not {nth!r}")
    return Arm(
        point=find_point(str(args["at"])),
        death=death_of(args.get("signal") or "KILL"),
        run_id=run_id,
        tool=args.get("tool"),
        decision_index=args.get("decision_index"),
        nth=nth,
        order=order,
        each_run=bool(args.get("each_run")),
    )


def stop_of(run_id: str | None, args: Mapping[str, Any], order: int | None = None) -> Arm:
    """The same for a place to stop at. Raises UsageError for one that no run passes."""
    arm = replace(arm_of(run_id, {**args, "at": args["to"], "signal": "KILL"}, order), death=Death.HOLD)
    if arm.point.stage is Stage.HOOK:
        raise UsageError(f"no run can stop at {arm.point.name}: it is passed by what settles effects, not by the agent")
    return arm


def death_of(name: object) -> Death:
    deaths = {str(death): death for death in Death if death is not Death.HOLD}
    found = deaths.get(str(name).upper())
    if found is None:
        raise UsageError(f"no death is called {name!r}; there are: {', '.join(deaths)}")
    return found


def act(
    server: Server, run_id: str | None, verb: str, args: Mapping[str, Any], actor: str, reason: str
) -> Future[Acted]:
    """Records the order, then does it. Runs on the server's thread. Raises UsageError for a wrong order."""
    done: Future[Acted] = Future()
    work = _work_of(server, run_id, verb, args)

    def after(order: int) -> None:
        try:
            done.set_result(work(order))
        except TapeError as error:
            done.set_exception(error)

    def record(tx: Any) -> int:
        if run_id is not None:
            status = runs.run_status(tx, run_id)
            if verb == "step" and not args.get("go") and status in RUN_ENDS and run_id not in server.driven():
                raise Refused(f"{run_id} has ended ({status}): it passes no place any more")
        return workers.place_order(tx, run_id, verb, dict(args), actor, reason)

    placed = server.submit(record, after)

    def failed(future: Future[int]) -> None:
        error = future.exception()
        if error is not None:
            done.set_exception(error)

    placed.add_done_callback(failed)
    return done


def _work_of(server: Server, run_id: str | None, verb: str, args: Mapping[str, Any]) -> Callable[[int], Acted]:
    """What is done under the order's number once it is recorded. Raises UsageError."""
    if verb == "thaw":
        return lambda order: {"thawed": server.points.thaw(None)}
    if verb == "disarm":
        name = None if args.get("at") is None else find_point(str(args["at"])).name
        return lambda order: {"disarmed": [_shown(arm) for arm in _disarm(server, name)]}
    if verb == "step":
        return _stepping(server, run_id, args)
    if args.get("at"):
        arm_of(run_id, args)

        def arm(order: int) -> Acted:
            server.arm_here(arm_of(run_id, args, order))
            return {"armed": {**args, "run": run_id}}

        return arm
    death = death_of(args.get("signal") or "KILL")
    only = args.get("pid")
    if not isinstance(only, int | None):
        raise UsageError(f"a pid is a number, not {only!r}")
    return lambda order: {"killed": _kill_now(server, run_id, death, only)}


def _disarm(server: Server, name: str | None) -> list[Arm]:
    return server.points.disarm(lambda arm: name is None or arm.point.name == name)


def _shown(arm: Arm) -> dict[str, Any]:
    return {
        "at": arm.point.name,
        "signal": str(arm.death),
        "run": arm.run_id,
        "tool": arm.tool,
        "decision_index": arm.decision_index,
        "nth": arm.nth,
        "each_run": arm.each_run,
    }


# --- step mode ----------------------------------------------------------------------------------------------------


def _stepping(server: Server, run_id: str | None, args: Mapping[str, Any]) -> Callable[[int], Acted]:
    """Of each run: where it was stopped (`from`; None: it was not), and what it does now: `go`, or stop `to` a place
    (None: the next one). A `run` of None is the next one that starts driving."""
    to, go = args.get("to"), bool(args.get("go"))
    if to is not None and go:
        raise UsageError("a run cannot go on and stop at a point: leave one of --go and --to out")
    if to is not None:
        stop_of(run_id, args)

    def step(order: int) -> Acted:
        if go:
            return {"stepped": _go(server, run_id)}
        chosen = server.driven() if run_id is None else [run_id]
        return {"stepped": [_step(server, run, args, order) for run in chosen or [None]]}

    return step


def _step(server: Server, run_id: str | None, args: Mapping[str, Any], order: int) -> Acted:
    points, to, stopped = server.points, args.get("to"), None
    if to is not None:
        points.arm(stop_of(run_id, args, order))
        if run_id is not None:
            stopped = points.steps.go(run_id)
    elif run_id is None:
        points.steps.step_next(order)
    else:
        stopped = points.steps.step(run_id, order)
    points.tell_workers(always=False)
    return {"run": run_id, "from": stopped, "to": to, "go": False}


def _go(server: Server, run_id: str | None) -> list[Acted]:
    """Without a run: all that stop or are to stop."""
    points = server.points
    wanted = {arm.run_id for arm in points.arms if arm.death is Death.HOLD}
    known = {*points.steps.runs, *(run for run in wanted if run is not None)}
    chosen = sorted(known) if run_id is None else [run for run in [run_id] if run in known]
    gone: list[Acted] = [{"run": run, "from": points.go(run), "to": None, "go": True} for run in chosen]
    if run_id is None and (points.steps.drop_next() | bool(points.drop_stops(None))):
        gone.append({"run": None, "from": None, "to": None, "go": True})
    points.tell_workers(always=False)
    return gone


def _kill_now(server: Server, run_id: str | None, death: Death, only: int | None = None) -> list[int]:
    """Ends (or stops) the worker that drives the run; without a run every worker that drives one. `only`: the pid that
    was on the screen when the order was given; any other one is spared."""
    pids: list[int] = []
    for peer in list(server.peers.values()):
        if not peer.drives or (run_id is not None and run_id not in peer.drives):
            continue
        if only is not None and peer.pid != only:
            raise Refused(f"pid {only} does not drive {run_id} any more, pid {peer.pid} does: nothing was killed")
        pids.append(peer.pid)
        server.points.strike(peer, death)
    if run_id is not None and not pids:
        raise Refused(f"{run_id} is not being driven now: nothing to kill; `--at POINT` waits for it")
    return pids
