"""Agents with bad manners."""

import asyncio
import os
import signal
import subprocess
import sys

from web import post

import tape

CHILD = "import time; time.sleep(600)"


@tape.tool(semantics="idempotent")
def act(amount: int) -> str:
    post("MINT", "acts", {"amount": amount}, tape.idempotency_key())
    return "done"


@tape.agent
async def endless(run: tape.Run, amount: int) -> str:
    """Waits for what never comes."""
    await asyncio.Event().wait()
    return await act(amount)


@tape.agent
async def endless_later(run: tape.Run, amount: int) -> str:
    """The same, but only when it is driven again."""
    if run.drive > 1:
        await asyncio.Event().wait()
    return await act(amount)


@tape.agent
async def rude(run: tape.Run, amount: int) -> str:
    """Does not listen to SIGTERM, says what no terminal should see, starts a process that would outlive it."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.stdout.buffer.write(b"\x1b]0;title\x07\x1b[2J\xff\xfe\x00{" + b"x" * 200_000)
    sys.stdout.flush()
    subprocess.Popen(
        [sys.executable, "-S", "-c", CHILD, os.environ["MARKER"]],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return await act(amount)


@tape.agent
async def failing(run: tape.Run, amount: int) -> str:
    """Fails each time the same way."""
    await act(amount)
    raise ValueError("the order is refused")


class Abort(BaseException):
    pass


@tape.agent
async def aborting(run: tape.Run, amount: int) -> str:
    """No error, but the end of the process: each time anew."""
    await act(amount)
    raise Abort
