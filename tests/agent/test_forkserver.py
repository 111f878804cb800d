"""What the fork server needs of its own process: a nonce that the system shows, and knowing what was read."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tape.core.agent.forkserver import _noting

SHOW = """
import os, sys, time
from tape.core.agent.forkserver import NonceCell
{before}
cell = NonceCell()
print(cell.write("b" * 32))
sys.stdout.flush()
if os.fork() == 0:
    print(b"TAPE_NONCE=" + b"b" * 32 in open("/proc/self/environ", "rb").read())
    sys.stdout.flush()
    os._exit(0)
os.wait()
print(cell.write("too short"))
"""


def show(before: str = "") -> list[str]:
    environment = {**os.environ, "TAPE_NONCE": "0" * 32}
    done = subprocess.run(
        [sys.executable, "-c", SHOW.format(before=before)], env=environment, capture_output=True, check=True, text=True
    )
    return done.stdout.split()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_system_shows_the_nonce_of_a_process_that_was_only_forked() -> None:
    assert show() == ["True", "True", "False"]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_variable_that_was_set_anew_is_not_taken_for_shown() -> None:
    assert show("os.environ['TAPE_NONCE'] = 'c' * 32") == ["False", "False", "False"]


def test_whatever_way_the_environment_is_read_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FIRST", "SECOND", "THIRD", "FOURTH"):
        monkeypatch.setenv(name, "x")
    kind = type(os.environ)
    with _noting() as noted:
        noted.clear()
        assert os.environ["FIRST"] and os.getenv("SECOND") and os.environ.get("THIRD") and "FOURTH" in os.environ
        assert os.environ.get("MISSING") is None
        assert noted == {"FIRST", "SECOND", "THIRD", "FOURTH", "MISSING"}
        os.environ.copy()
        assert noted >= set(os.environ)
    assert type(os.environ) is kind
    assert Path(os.environ["HOME"]) and os.environ["FIRST"] == "x"
