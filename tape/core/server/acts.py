"""What only a running server can do: end, stop and continue its own agents, and arm crash points."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

from tape.core.journal import runs, workers
from tape.core.kernel.errors import Refused, TapeError, UsageError
from tape.core.kernel.points import Arm, Death, find_point
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
    )


def death_of(name: str) -> Death:
    try:
        return Death(name.upper())
    except ValueError:
        raise UsageError(f"no death is called {name!r}; there are: {', '.join(Death)}") from None


def act(
    server: Server, run_id: str | None, verb: str, args: Mapping[str, Any], actor: str, reason: str
) -> Future[Acted]:
    """Records the order, then does it. Runs on the server's thread. Raises UsageError for a wrong order."""
    done: Future[Acted] = Future()
    if verb == "kill" and args.get("at"):
        arm_of(run_id, args)
    elif verb == "kill":
        death_of(args.get("signal") or "KILL")

    def after(order: int) -> None:
        try:
            done.set_result(do(order))
        except TapeError as error:
            done.set_exception(error)

    def do(order: int) -> Acted:
        if verb == "thaw":
            return {"thawed": server.points.thaw(None)}
        if args.get("at"):
            server.arm_here(arm_of(run_id, args, order))
            return {"armed": {**args, "run": run_id}}
        return {"killed": _kill_now(server, run_id, death_of(args.get("signal") or "KILL"))}

    def record(tx: Any) -> int:
        if run_id is not None:
            runs.run_status(tx, run_id)
        return workers.place_order(tx, run_id, verb, dict(args), actor, reason)

    placed = server.submit(record, after)

    def failed(future: Future[int]) -> None:
        error = future.exception()
        if error is not None:
            done.set_exception(error)

    placed.add_done_callback(failed)
    return done


def _kill_now(server: Server, run_id: str | None, death: Death) -> list[int]:
    """Ends (or stops) the worker that drives the run; without a run every worker that drives one."""
    pids: list[int] = []
    for peer in list(server.peers.values()):
        if not peer.drives or (run_id is not None and run_id not in peer.drives):
            continue
        pids.append(peer.pid)
        server.points.strike(peer, death)
    if run_id is not None and not pids:
        raise Refused(f"{run_id} is not being driven now: nothing to kill; `--at POINT` waits for it")
    return pids
