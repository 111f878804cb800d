"""What an agent process says on its output: a real process, started as agents are (unbuffered), read from its pipes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = """
import asyncio, logging, sys, threading, traceback
from tape.core.sdk.output import clean_output
clean_output()
early = logging.StreamHandler()          # takes sys.stderr now, before anything is known
from tape.core.sdk.hiding import note_plain
print("before canary-1")
note_plain({"card": "canary-1", "more": ["canary-2"]}, "[x]")
print("card", "canary-1", {"deep": "canary-2"}, end=" end\\n", flush=True)
sys.stdout.writelines(["a canary-1\\n", "b canary-2\\n"])
sys.__stdout__.write("c canary-1\\n")
assert sys.stdout.write("d canary-1\\n") == len("d canary-1\\n")
log = logging.getLogger("shop")
log.addHandler(early)
log.warning("log canary-1")
thread = threading.Thread(target=lambda: 1 / len("canary-1"[8:]), name="canary-1")
thread.start(); thread.join()
try:
    raise KeyError("canary-1")
except KeyError:
    traceback.print_exc()
async def left():
    async def fails():
        raise ValueError("left canary-2")
    task = asyncio.create_task(fails())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    del task
asyncio.run(left())
print("ümläut \\udcff ok", file=sys.stderr)
raise SystemExit("the end of canary-1") if len(sys.argv) > 1 else RuntimeError("uncaught canary-1")
"""


@pytest.mark.parametrize("unbuffered", [True, False])
def test_every_way_of_python_is_cleaned(unbuffered: bool) -> None:
    command = [sys.executable, *(["-u"] if unbuffered else []), "-c", PROGRAM]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 1
    assert "before canary-1" in done.stdout, "only what is known is cleaned"
    assert said.replace("before canary-1", "").count("canary") == 0, said
    for line in (
        "card [x] {'deep': '[x]'} end", "a [x]", "b [x]", "c [x]", "d [x]", "log [x]", "in thread [x]",
        "KeyError: '[x]'",
        "ValueError: left [x]", "RuntimeError: uncaught [x]", "ümläut",
    ):  # fmt: skip
        assert line in said, (line, said)


def test_the_exit_message_too() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "exit"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stderr.endswith("the end of [x]\n")
