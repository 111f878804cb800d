"""What an earlier server left: its agents are ended, its leases are over, its claims are void."""

from __future__ import annotations

from tape.core.journal import workers
from tape.core.kernel.events import ServerStarted
from tape.core.server.supervisor import end_carriers
from tape.reactors.reactor import Desk
from tape.reactors.recovery import void

FOREVER = 1 << 62


def adopt(desk: Desk, started: ServerStarted) -> None:
    """Takes the journal over for the server that has just started, before anything of its own runs."""
    why = "its server ended"
    desk.call(lambda tx: workers.start_service(tx, started))
    for number, nonce, _, host in desk.work.live_workers():
        proven = host == started.host and end_carriers(nonce, desk.clock)
        desk.call(
            lambda tx, number=number, proven=proven: workers.worker_died(tx, number, why, desk.recovery, proven=proven)
        )
    for stale in desk.work.stale_claims(FOREVER):
        void(desk, stale, why)
