"""`tape` before its command line is there."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.dev.harness import clean_environment

INTERRUPTED_WHILE = """
import os, signal, sys

class Ctrl_C:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Ctrl_C())
from tape.__main__ import main
sys.exit(main())
"""


@pytest.mark.parametrize("module", ["tape.cli", "typer", "tape.core.kernel.errors"])
def test_ctrl_c_while_it_is_being_loaded_prints_nothing(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_WHILE.format(module=module), "status"],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tape", "--help"],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0 and done.stdout.startswith("Usage: tape ")
