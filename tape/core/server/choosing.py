"""Which worker gets what is to be done next: a run to drive, or a hook. From any thread."""

from __future__ import annotations

from collections.abc import Mapping

from tape.core.server.peers import WorkerPeer


class Choosing:
    """Chooses among the workers as the server knows them now. `concurrency`: how many runs one may drive at once.

    A worker drives runs or runs hooks, never both: a hook may kill its process, and must take no run with it.
    """

    def __init__(self, peers: Mapping[int, WorkerPeer], concurrency: int) -> None:
        self._peers = peers
        self._concurrency = concurrency

    def hook_worker(self, *, alone: bool) -> int | None:
        """A worker that may run a hook now: it drives no run. With `alone`, it runs no other hook, and gets none until
        this one is over."""
        free: list[WorkerPeer] = []
        for peer in list(self._peers.values()):
            busy = peer.runs_hooks()
            peer.alone_hook = peer.alone_hook and busy
            if peer.takes_work() and not peer.drives and not (busy and (alone or peer.alone_hook)):
                free.append(peer)
        free.sort(key=lambda peer: (len(peer.hooks), peer.number))
        if not free:
            return None
        free[0].alone_hook = alone
        return free[0].number

    def driver_for(self, *, alone: bool) -> int | None:
        """A worker with room for one more run: it runs no hook, and carries fewer runs than it may."""
        room = 1 if alone else self._concurrency
        free = [
            peer
            for peer in list(self._peers.values())
            if peer.takes_work() and not peer.runs_hooks()
            if len(peer.drives) < room and not (peer.alone and peer.drives)
        ]
        free.sort(key=lambda peer: (-len(peer.drives), peer.number))
        return free[0].number if free else None

    def driving(self) -> int:
        """How many runs are being driven."""
        return sum(len(peer.drives) for peer in list(self._peers.values()))
