"""Crash points in the server: what is armed, and how a process dies, stops or loses a reply there (api.md section 5).

Every boundary passes the server, so each point is one of two places: *received, not committed* and *committed, reply
withheld*. All of this runs on the server's thread.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from tape.core.journal import workers
from tape.core.journal.transaction import Tx
from tape.core.kernel.errors import Fenced
from tape.core.kernel.events import PointReached
from tape.core.kernel.lifecycle import WorkerTrigger
from tape.core.kernel.points import Arm, Death, Stage
from tape.core.server.boundaries import Verb, answer_to, refusal, subject_of
from tape.core.server.peers import HookCall, WorkerPeer
from tape.core.wire import Frame

if TYPE_CHECKING:
    from tape.core.server.server import Server


class Ender(Protocol):
    """The supervisor, as the server needs it: the only one that ends, stops or continues a process."""

    def kill(self, worker: int, why: str) -> int | None: ...
    def terminate(self, worker: int, why: str) -> int | None: ...
    def freeze(self, worker: int) -> int | None: ...
    def thaw(self, worker: int) -> int | None: ...


class CrashPoints:
    """The armed points of one server, and what happens at them."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.ender: Ender | None = None
        self.arms: list[Arm] = []

    def arm(self, arms: list[Arm]) -> None:
        """Sets what is armed, and tells the workers: while anything is, they wait for every boundary's reply."""
        self.arms = arms
        for peer in self._server.peers.values():
            peer.send({"t": "arm", "armed": bool(arms)})

    # --- ways to die ------------------------------------------------------------------------------------------

    def end(self, peer: WorkerPeer, why: str) -> None:
        """Kills the worker; whatever else it had sent is not taken any more."""
        peer.doomed = True
        self._ender.kill(peer.number, why)

    def strike(self, peer: WorkerPeer, death: Death) -> None:
        """Ends or stops a worker now, at whatever place it is."""
        if death is Death.KILL:
            self._ender.kill(peer.number, "killed by order")
        elif death is Death.TERM:
            self._ender.terminate(peer.number, "terminated by order")
        elif death is Death.STOP:
            self._ender.freeze(peer.number)
        elif peer.connection is not None:
            self._server.hang_up(peer.connection)

    @property
    def _ender(self) -> Ender:
        assert self.ender is not None
        return self.ender

    def _end_at(self, arm: Arm, peer: WorkerPeer, run_id: str | None) -> None:
        peer.doomed = True
        self._tell(arm, peer, run_id)
        self._ender.kill(peer.number, f"killed at {arm.point.name}")

    def _terminate_at(self, arm: Arm, peer: WorkerPeer, run_id: str) -> None:
        self._tell(arm, peer, run_id)
        self._ender.terminate(peer.number, f"terminated at {arm.point.name}")

    def _freeze_at(self, arm: Arm, peer: WorkerPeer, run_id: str) -> None:
        peer.frozen = True
        self._tell(arm, peer, run_id)
        self._ender.freeze(peer.number)
        self._server.commit_verb(_moves(peer.number, WorkerTrigger.FREEZE))

    def _tell(self, arm: Arm, peer: WorkerPeer, run_id: str | None) -> None:
        reached = PointReached(point=arm.point.name, death=arm.death, worker=peer.number, pid=peer.pid, order=arm.order)
        self._server.commit_verb(lambda tx: workers.reach_point(tx, run_id, reached))

    # --- passing a point --------------------------------------------------------------------------------------

    def _hit(self, arrives: Callable[[Arm], bool]) -> Arm | None:
        """The armed point that this pass reaches; it is used up. Passes before the n-th are counted down."""
        for position, arm in enumerate(self.arms):
            if not arrives(arm):
                continue
            if arm.nth > 1:
                self.arms[position] = replace(arm, nth=arm.nth - 1)
                continue
            del self.arms[position]
            return arm
        return None

    def _hit_boundary(self, stage: Stage, frame: Frame) -> Arm | None:
        run_id, (tool, index) = frame["run"], subject_of(frame)
        return self._hit(
            lambda arm: arm.point.frame == frame["t"] and arm.point.stage is stage and arm.matches(run_id, tool, index)
        )

    def received(self, peer: WorkerPeer, frame: Frame, verb: Verb) -> bool:
        """A boundary has arrived. True if a point was reached here, and the frame dealt with."""
        arm = self._hit_boundary(Stage.RECEIVED, frame)
        if arm is None:
            return False
        server, run_id = self._server, frame["run"]
        if arm.death is Death.KILL:
            self._end_at(arm, peer, run_id)
        elif arm.death is Death.STOP and not peer.open_bodies:
            peer.held_frames.append(frame)
            self._freeze_at(arm, peer, run_id)
        elif arm.death is Death.STOP:  # a body is open: the next pass with none
            self.arms.append(arm)
            server.commit_boundary(peer, frame, verb)
        elif arm.death is Death.TERM:
            self._terminate_at(arm, peer, run_id)
            server.commit_boundary(peer, frame, verb)
        else:
            self._tell(arm, peer, run_id)
            server.commit_boundary(peer, frame, verb, lose=True)
        return True

    def committed(self, peer: WorkerPeer, frame: Frame, reply: Frame) -> bool:
        """A boundary is durable, its reply not given yet. True if a point was reached here, and the reply dealt
        with."""
        arm = self._hit_boundary(Stage.COMMITTED, frame)
        if arm is None:
            return False
        run_id = frame["run"]
        begins = frame["t"] in ("begin", "attempt")  # then one of the open bodies is the one that waits for this reply
        if arm.death is Death.KILL:
            self._end_at(arm, peer, run_id)
        elif arm.death is Death.STOP and len(peer.open_bodies) <= int(begins):
            peer.held_replies.append({**reply, "of": frame["t"]})
            self._freeze_at(arm, peer, run_id)
        elif arm.death is Death.STOP:
            self.arms.append(arm)
            peer.reply(reply)
        elif arm.death is Death.TERM:
            self._terminate_at(arm, peer, run_id)
            peer.reply(reply)
        else:
            self._tell(arm, peer, run_id)
            self._server.lose_reply(peer, reply)
        return True

    def granted(self, peer: WorkerPeer, run_id: str) -> bool:
        """A lease is durable, its drive not sent yet. True if it is not to be sent."""
        arm = self._hit(lambda arm: arm.point.frame == "grant" and arm.matches(run_id, None, None))
        if arm is None:
            return False
        if arm.death is Death.KILL:
            self._end_at(arm, peer, run_id)
            return True
        if arm.death is Death.TERM:
            self._terminate_at(arm, peer, run_id)
        elif arm.death is Death.STOP and not peer.open_bodies:
            self._freeze_at(arm, peer, run_id)
        elif arm.death is Death.STOP:
            self.arms.append(arm)
        else:
            self._tell(arm, peer, run_id)
            if peer.connection is not None:
                self._server.hang_up(peer.connection)
        return False

    def reached_by_hook(self, peer: WorkerPeer, call: HookCall, frame_kind: str) -> bool:
        """Hook points kill the hook worker, whatever death was chosen: it drives no run."""
        arm = self._hit(
            lambda arm: (
                arm.point.stage is Stage.HOOK
                and arm.point.frame == frame_kind
                and arm.matches(call.run_id, call.tool, call.decision_index)
            )
        )
        if arm is None:
            return False
        self._end_at(arm, peer, call.run_id)
        return True

    def own(self, peer: WorkerPeer, frame: Frame) -> bool:
        """`tape.crash_point(name)`. True if the worker dies here and gets no answer."""
        arm = self._hit(lambda arm: arm.point.name == frame["name"] and arm.matches(frame["run"], None, None))
        if arm is None:
            return False
        if arm.death is Death.TERM:
            self._terminate_at(arm, peer, frame["run"])
            return False
        self._end_at(arm, peer, frame["run"])
        return True

    # --- thaw -------------------------------------------------------------------------------------------------

    def thaw(self, number: int | None) -> list[int]:
        """Lets stopped workers go on; what a frozen one held is answered as things stand now. Returns pids."""
        thawed: list[int] = []
        for peer in list(self._server.peers.values()):
            if number is not None and peer.number != number:
                continue
            if peer.frozen:
                thawed.append(peer.pid)
                self._thaw_one(peer)
            else:
                self._ender.thaw(peer.number)  # one that was stopped outside a drill just goes on
        return thawed

    def _thaw_one(self, peer: WorkerPeer) -> None:
        server = self._server
        server.commit_verb(_moves(peer.number, WorkerTrigger.THAW))
        peer.frozen = False
        self._ender.thaw(peer.number)
        replies, peer.held_replies = peer.held_replies, []
        frames, peer.held_frames = peer.held_frames, []
        for reply in replies:
            if reply["t"] == "refused" or server.drives(peer, reply["run"], reply["epoch"]):
                peer.reply(reply)
                continue
            fenced = Fenced(f"{reply['run']}: no write under lease epoch {reply['epoch']}: it has ended")
            peer.reply(answer_to(reply, "refused", refusal(fenced)))
            server.keep_evidence(peer, {**reply, "t": reply["of"]}, fenced)
        for frame in frames:
            server.take_held(peer, frame)


def _moves(worker: int, trigger: WorkerTrigger) -> Callable[[Tx], Any]:
    return lambda tx: workers.move_worker(tx, worker, trigger)
