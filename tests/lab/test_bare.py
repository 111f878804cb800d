"""The agent without Tape: its process ends with whoever runs it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tape.core.config import Config, load_config
from tape.core.kernel.errors import EnvironmentTrouble
from tape.lab import bare

AGENT = """
import tape

@tape.tool
def pay() -> str:
    return "paid"

@tape.agent
async def agent(run, order):
    print("a word of its own")
    {body}
"""


def project(folder: Path, body: str) -> Config:
    (folder / "tape.yaml").write_text("name: t\nagent: app:agent\n")
    (folder / "app.py").write_text(AGENT.format(body=body))
    return load_config(folder, {})


def test_it_says_that_it_has_acted_and_dies_with_a_ctrl_c(tmp_path: Path) -> None:
    pid = 0

    def interrupted() -> None:
        nonlocal pid
        with bare._agent(project(tmp_path, "await pay()"), os.environ, stop_after_act=True) as (process, ear):
            pid = process.pid
            bare._await_act(ear)
            assert process.poll() is None, "it waits to be killed"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_one_that_ends_before_its_tool_is_not_waited_for(tmp_path: Path) -> None:
    config = project(tmp_path, "return 'nothing to pay'")
    with bare._agent(config, os.environ, stop_after_act=True) as (process, ear):
        with pytest.raises(EnvironmentTrouble, match="did not get as far as its tool"):
            bare._await_act(ear)
        assert process.wait() == 0
