"""Who drives what: leases as the entries tell of them, the drives that follow, and what reaches a run on its own.

All of this runs on the server's thread.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tape.core.journal import records, runs
from tape.core.journal.writer import Writer
from tape.core.kernel.errors import JournalUnavailable, UsageError
from tape.core.kernel.events import (
    BudgetAwaited,
    BudgetDenied,
    BudgetRaised,
    Charge,
    ChildEnded,
    EffectBegun,
    EffectEnded,
    Entry,
    GateAnswered,
    LeaseEnded,
    LeaseGranted,
    OrderPlaced,
    RunEnded,
    RunMoved,
    TimerFired,
)
from tape.core.kernel.lifecycle import RUN_ENDS
from tape.core.kernel.points import Stage
from tape.core.kernel.resolution import Writer as By
from tape.core.server.peers import WorkerPeer
from tape.core.wire import Frame

if TYPE_CHECKING:
    from tape.core.server.server import Server

TAPE_CHUNK_RECORDS = 200


class Drives:
    """The runs that are driven now, by worker and lease epoch, and every frame that a worker gets for one of them
    without having asked."""

    def __init__(self, server: Server, writer: Writer) -> None:
        self._server = server
        self._writer = writer
        self._driving: dict[str, tuple[int, int]] = {}
        self._left: dict[str, set[str]] = {}
        """By run, the open effects that it does not wait for."""
        self._capped: set[str] = set()
        """Runs of which something waits for a person to raise a cap while they are driven."""

    def live(self, peer: WorkerPeer, run_id: str, epoch: int) -> bool:
        """Whether this worker's lease of that epoch is the run's live one."""
        return self._driving.get(run_id) == (peer.number, epoch)

    def driven(self) -> list[str]:
        """The runs that are under a lease, or stopped at their end."""
        return sorted({*self._driving, *self._server.points.steps.runs_stopped})

    # --- from entries -----------------------------------------------------------------------------------------

    def note(self, entries: list[Entry]) -> None:
        """Keeps who drives what, from the entries themselves."""
        server = self._server
        for entry in entries:
            event, run_id = entry.event, entry.run_id
            if run_id is None:
                continue
            if isinstance(event, LeaseGranted):
                self._driving[run_id] = (event.worker, event.epoch)
                peer = server.peers.get(event.worker)
                if peer is not None:
                    peer.drives[run_id] = event.epoch
                    peer.alone = event.alone
            elif isinstance(event, LeaseEnded):
                self._driving.pop(run_id, None)
                self._capped.discard(run_id)
                server.points.steps.lease_ended(run_id)
            elif isinstance(event, EffectBegun | EffectEnded):
                self._note_left(run_id, event)
            elif isinstance(event, BudgetAwaited):
                self._capped.add(run_id)
            elif isinstance(event, RunEnded) or (isinstance(event, RunMoved) and event.status in RUN_ENDS):
                server.soon(lambda run_id=run_id: server.points.steps.ended(run_id))
                if isinstance(event, RunMoved):
                    server.soon(lambda run_id=run_id: self._disarm_of(run_id))

    def _note_left(self, run_id: str, event: EffectBegun | EffectEnded) -> None:
        if isinstance(event, EffectBegun):
            if not event.awaited:
                self._left.setdefault(run_id, set()).add(event.key)
            return
        left = self._left.get(run_id)
        if left is not None:
            left.discard(event.key)
            if not left:
                del self._left[run_id]

    def _disarm_of(self, run_id: str) -> None:
        """What was armed for a run that has ended can never be reached, but where something is dispatched that the run
        did not wait for."""
        left = run_id in self._left
        self._server.points.disarm(lambda arm: arm.run_id == run_id and not (left and arm.point.stage is Stage.HOOK))

    def push(self, entries: list[Entry]) -> None:
        """Sends drives to whom they were granted, and reactors' records to whoever drives the run."""
        charges = _charges(entries)
        awaiting = {entry.run_id for entry in entries if entry.run_id and isinstance(entry.event, BudgetAwaited)}
        for entry in entries:
            event = entry.event
            if entry.run_id is None:
                continue
            if isinstance(event, LeaseGranted):
                peer = self._server.peers.get(event.worker)
                if peer is not None and not self._server.points.granted(peer, entry.run_id, event.epoch):
                    self.send(peer, entry.run_id, event.epoch)
            elif isinstance(event, OrderPlaced):
                if event.verb == "cancel" and "parent" in (event.args or {}):
                    self._cancel_child(entry.run_id)
            elif isinstance(event, BudgetRaised | BudgetDenied):
                if (
                    isinstance(event, BudgetRaised) and event.was is None
                ):  # its first cap: it waits for answers from now on
                    self._send_to_driver(entry.run_id, {"t": "budget", "capped": True})
                self._ask_again(awaiting)
            elif entry.seq is None:
                continue  # a story, or the end of an effect that no run waits for
            elif isinstance(event, TimerFired | GateAnswered | ChildEnded) or (
                isinstance(event, EffectEnded) and event.writer != By.AGENT
            ):
                for charge in charges.pop((entry.run_id, entry.seq), []):  # before it: it is counted with the outcome
                    self._send_record(charge)
                self._send_record(entry)

    def _send_record(self, entry: Entry) -> None:
        record = {"t": "record", "seq": entry.seq, "kind": entry.event.kind, "body": asdict(entry.event)}
        self._send_to_driver(entry.run_id or "", record)

    # --- to workers -------------------------------------------------------------------------------------------

    def _send_to_driver(self, run_id: str, frame: Frame) -> None:
        driver = self._driving.get(run_id)
        peer = self._server.peers.get(driver[0]) if driver else None
        if driver and peer:
            pushed = {**frame, "run": run_id, "epoch": driver[1]}
            peer.pushed.setdefault(run_id, []).append(pushed)
            peer.send(pushed)

    def _ask_again(self, awaiting: set[str]) -> None:
        """A person has answered one who waits for a cap: all of them ask again, and what does not fit waits on.
        `awaiting`: the runs that began to wait in this very commit; they do not know it yet."""
        capped, self._capped = self._capped, self._capped & awaiting
        for run_id in sorted(capped):
            self._send_to_driver(run_id, {"t": "budget"})

    def _cancel_child(self, run_id: str) -> None:
        """An order of its parent's; what is withheld goes on after what is being committed now."""
        self._send_to_driver(run_id, {"t": "cancel"})

        def go_on() -> None:
            self._server.points.go(run_id)

        self._server.soon(go_on)

    def push_cancel(self, run_id: str) -> None:
        """Tells the driver of a run that it is being cancelled; if the run is stopped, it goes on."""
        self._send_to_driver(run_id, {"t": "cancel"})
        self._server.points.go(run_id)

    def send(self, peer: WorkerPeer, run_id: str, epoch: int) -> None:
        """What the worker needs to take the run up, if the lease is still its own; the last frame starts it. If the
        journal cannot be read now, the worker is made to dial again."""
        if not self.live(peer, run_id, epoch):
            self.give_up(peer, run_id, epoch)
            return
        try:
            drive = self._writer.apply(lambda tx: records.drive_of(tx, run_id))
        except JournalUnavailable as error:
            self._server.on_trouble(str(error))
            if peer.connection is not None:
                self._server.hang_up(peer.connection)
            return
        head = {"run": run_id, "epoch": epoch}
        whole: list[Any] = drive.pop("records")
        for start in range(0, len(whole), TAPE_CHUNK_RECORDS):
            _send_tape(peer, head, whole[start : start + TAPE_CHUNK_RECORDS])
        skew = self._server.clock.skew_us
        peer.send({"t": "drive", **head, **drive, "armed": self._server.points.waits(), "skew_us": skew})

    def compare(self, peer: WorkerPeer, in_hand: dict[str, int]) -> None:
        """After a lost connection: what was on its way in either direction, and is no boundary, is made up for.
        `in_hand`: the runs that the worker says it drives, with their epochs; it takes nothing twice."""
        for run_id, epoch in list(peer.drives.items()):
            if in_hand.get(run_id) == epoch:
                for pushed in peer.pushed.get(run_id, []):
                    peer.send(pushed)
            elif self._server.points.steps.withholds_drive(run_id, epoch):
                continue
            elif not self.live(peer, run_id, epoch):
                self.give_up(peer, run_id, epoch)
            elif (run_id, epoch) in peer.replies:
                self._server.points.end(peer, f"it has given up {run_id} without a word")
            else:
                self.send(peer, run_id, epoch)

    def renew(self, peer: WorkerPeer, silent_us: int) -> None:
        """The worker has shown that it lives: so do its leases, unless its event loop was silent for too long."""
        server = self._server
        lease, now = server.policy.lease, server.clock.boot_us()
        silent_us = min(silent_us, now - peer.let_go_boot_us)
        if silent_us > lease.stall_us and not server.points.steps.blocks_loop(peer):
            server.points.end(peer, f"its event loop was silent for {silent_us // 1_000_000} s")
        elif peer.drives:
            server.submit(lambda tx: runs.renew_leases(tx, peer.number, lease.ttl_us))

    def give_up(self, peer: WorkerPeer, run_id: str, epoch: int) -> None:
        """The worker drives the run no more under that lease: whatever was kept for it is forgotten."""
        if peer.drives.get(run_id) == epoch:
            del peer.drives[run_id]
            peer.pushed.pop(run_id, None)
        self._server.points.steps.drop(run_id, epoch)
        peer.replies.pop((run_id, epoch), None)
        peer.open_bodies = {body for body in peer.open_bodies if body[0] != run_id}
        self._server.notify([])


def _charges(entries: list[Entry]) -> dict[tuple[str | None, int | None], list[Entry]]:
    """The charges by the run and seq of the outcome that they stand behind."""
    found: dict[tuple[str | None, int | None], list[Entry]] = {}
    for entry in entries:
        if isinstance(entry.event, Charge) and entry.seq is not None:
            found.setdefault((entry.run_id, entry.seq - 1), []).append(entry)
    return found


def _send_tape(peer: WorkerPeer, head: Frame, records: list[Any]) -> None:
    """In one frame, or in several if they are too large for one."""
    try:
        peer.send({"t": "tape", **head, "records": records})
    except UsageError:
        if len(records) == 1:
            raise
        middle = len(records) // 2
        _send_tape(peer, head, records[:middle])
        _send_tape(peer, head, records[middle:])
