"""Policies: back-off, lease lengths, crash counting. Arithmetic on integers; microseconds throughout."""

from __future__ import annotations

from dataclasses import dataclass

SECOND_US = 1_000_000
ALONE_FROM = 2
"""After so many deaths in a row a run goes alone."""
MIN_ALONE_DEATHS = 3
CHILDREN_LIMIT = 10_000
"""Most children of one run."""
DEPTH_LIMIT = 16
"""Most ancestors of one run."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """first, 2*first, 4*first ... up to cap."""

    first_us: int = SECOND_US
    cap_us: int = 60 * SECOND_US

    def delay_us(self, failures: int) -> int:
        """Delay after the n-th failure in a row (n >= 1); 0 for none."""
        if failures <= 0:
            return 0
        return min(self.cap_us, self.first_us << min(failures - 1, 40))


RETRY_BACKOFF = Backoff(first_us=SECOND_US // 20, cap_us=SECOND_US)
"""Between two attempts that an agent makes of one body (`retries`), in one drive. Short: the run waits for it."""


@dataclass(frozen=True, slots=True)
class LeasePolicy:
    """How long a lease lives unrenewed, how often it is renewed, how long an event loop may be silent."""

    ttl_us: int = 15 * SECOND_US
    heartbeat_us: int = 5 * SECOND_US
    stall_us: int = 60 * SECOND_US


@dataclass(frozen=True, slots=True)
class AskPolicy:
    """How a look-up is repeated while its answer is unclear (contract.md section 4)."""

    backoff: Backoff = Backoff(first_us=SECOND_US // 5, cap_us=5 * SECOND_US)
    max_asks: int = 6
    timeout_us: int = 30 * SECOND_US


USUAL_ASKS = AskPolicy()


@dataclass(frozen=True, slots=True)
class RecoveryPolicy:
    """Consecutive deaths without progress (invariant I13).

    The first re-drive starts at once; from the second death on there is a back-off, and the run goes alone in a
    worker of its own; `max_crashes` deaths make it STUCK, never before one of them happened alone.
    """

    max_crashes: int = 5
    backoff: Backoff = Backoff()
    asks: AskPolicy = USUAL_ASKS

    def stuck_after(self) -> int:
        return max(self.max_crashes, MIN_ALONE_DEATHS)

    def delay_us(self, crashes: int) -> int:
        return self.backoff.delay_us(crashes - 1)

    def alone(self, crashes: int) -> bool:
        return crashes >= ALONE_FROM


def wake_parent_after_us(children_open: int) -> int:
    """How long a parent that waits is left waiting after a child's end: a run with a thousand open children is not
    driven again for each of them."""
    return min(children_open * 1_000, SECOND_US)
