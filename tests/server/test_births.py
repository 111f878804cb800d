"""A process inside exec has no environment yet: whoever looks for carriers of a nonce must not miss it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tape.core.clock import ManualClock
from tape.core.server import supervisor
from tape.core.server.supervisor import BIRTH_US, being_born, carriers, end_carriers, start_ticks

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture
def bare() -> Iterator[subprocess.Popen[bytes]]:
    """A process without an environment: what one inside exec looks like, but for good."""
    with subprocess.Popen(["/bin/cat"], env={}, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(b"up\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"up\n"
        yield process
        process.kill()


def test_only_those_that_are_young_enough_may_be_inside_exec(bare: subprocess.Popen[bytes]) -> None:
    born = start_ticks(bare.pid)
    assert bare.pid in being_born(born)
    assert bare.pid not in being_born(born + 1)


def test_a_process_with_an_environment_is_born(bare: subprocess.Popen[bytes]) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        try:
            assert other.pid not in being_born(start_ticks(bare.pid))
        finally:
            other.kill()


def test_nobody_is_declared_dead_while_somebody_may_be_being_born(
    bare: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The child of a worker leaves exec between two looks: it is found, and ended."""
    clock, looks = ManualClock(), iter([[], [], [4242], []])
    killed: list[int] = []
    monkeypatch.setattr(supervisor, "carriers", lambda nonce: next(looks))
    monkeypatch.setattr(supervisor.os, "kill", lambda pid, signal: killed.append(pid))
    monkeypatch.setattr(supervisor, "being_born", lambda ticks: [1] if not killed else [])
    assert end_carriers("nonce", clock)
    assert killed == [4242]


def test_one_that_never_gets_an_environment_holds_nothing_up(bare: subprocess.Popen[bytes]) -> None:
    clock = ManualClock()
    assert carriers("no-such-nonce") == []
    assert end_carriers("no-such-nonce", clock, start_ticks(bare.pid))
    assert BIRTH_US <= sum(clock.sleeps) * 1_000_000 < 2 * BIRTH_US
