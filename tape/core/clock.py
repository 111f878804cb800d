"""The one place that reads clocks, sleeps and draws random numbers. Everything else is handed a `Clock`."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol


class Clock(Protocol):
    """Times are integer microseconds. `wall` is for people and durable timers; `boot` is monotonic, counts suspend,
    is the same in all processes of one boot, and is what leases, claims and back-off are measured with. `skew_us` is
    by how much both were put forward on purpose."""

    boot_id: str

    @property
    def skew_us(self) -> int: ...

    def wall_us(self) -> int: ...
    def boot_us(self) -> int: ...
    def bits(self, count: int) -> int: ...
    def nonce(self) -> str: ...
    def sleep(self, seconds: float) -> None: ...


def read_boot_id() -> str:
    """An id that changes with each boot of this host."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:  # not Linux: the boot time in whole minutes is the best there is
        return f"boot-{int(time.time() - time.monotonic()) // 60}"


def _boot_ns() -> Callable[[], int]:
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    if clock is None:
        return time.monotonic_ns
    return lambda: time.clock_gettime_ns(clock)


class SystemClock:
    """The real clock."""

    def __init__(self) -> None:
        self.boot_id = read_boot_id()
        self._boot_ns = _boot_ns()
        self.skew_us = 0

    def wall_us(self) -> int:
        return time.time_ns() // 1000

    def boot_us(self) -> int:
        return self._boot_ns() // 1000

    def bits(self, count: int) -> int:
        return int.from_bytes(os.urandom((count + 7) // 8), "big") & ((1 << count) - 1)

    def nonce(self) -> str:
        return uuid.uuid4().hex

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class SkewedClock(SystemClock):
    """The real clock, put forward on purpose: timers and leases of hours are over in a moment. From any thread."""

    def __init__(self, skew_us: int = 0) -> None:
        super().__init__()
        self.skew_us = skew_us

    def wall_us(self) -> int:
        return super().wall_us() + self.skew_us

    def boot_us(self) -> int:
        return super().boot_us() + self.skew_us

    def advance(self, seconds: float) -> None:
        self.skew_us += int(seconds * 1_000_000)


@dataclass
class ManualClock:
    """A clock that moves only when told to; ids are counted, so a test's journal is the same each time."""

    wall: int = 1_800_000_000_000_000
    boot: int = 1_000_000_000
    boot_id: str = "boot-manual"
    skew_us: int = 0
    drawn: int = 0
    sleeps: list[float] = field(default_factory=lambda: [])

    def wall_us(self) -> int:
        return self.wall

    def boot_us(self) -> int:
        return self.boot

    def bits(self, count: int) -> int:
        self.drawn += 1
        return (self.drawn * 0x9E3779B1) & ((1 << count) - 1)

    def nonce(self) -> str:
        self.drawn += 1
        return f"{self.drawn:032x}"

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        self.wall += int(seconds * 1_000_000)
        self.boot += int(seconds * 1_000_000)


EARLIEST_US, LATEST_US = -62_135_596_800_000_000, 253_402_300_799_999_999
"""The years 1 to 9999."""


def format_us(wall_us: int) -> str:
    """RFC 3339 UTC with microseconds. What no clock has shown (a damaged record) becomes the nearest time that can be
    written: people look at damage with it."""
    seconds, micros = divmod(min(max(wall_us, EARLIEST_US), LATEST_US), 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=micros).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
