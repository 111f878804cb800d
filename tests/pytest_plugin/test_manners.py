"""Nothing stays behind: not after Ctrl-C, not under xdist."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from tests.dev.harness import wait_until
from tests.pytest_plugin.suite import Suite

LONG = """    open("/proc/self/cwd/acting", "w").close()
    import time
    time.sleep(600)
    wire = bank("""
SECONDS = 60


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_ctrl_c_ends_everything(suite: Suite, workers: tuple[str, ...]) -> None:
    text = suite.agent_file.read_text("utf-8")
    suite.agent_file.write_text(text.replace("    wire = bank(", LONG), "utf-8")
    suite.write('def test_it(tape_run):\n    tape_run("x", within=600)\n')
    process = subprocess.Popen(
        suite.command(*workers),
        cwd=suite.folder,
        env=suite.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        wait_until((suite.folder / "acting").exists, "the tool acts", SECONDS)
        assert suite.orphans(), "the check itself sees what lives"
        os.killpg(process.pid, signal.SIGINT)
        output, _ = process.communicate(timeout=SECONDS)
    finally:
        process.kill()
    assert process.returncode == 2, output
    suite.check_clean()
