"""`--without-tape`: the same agent with nothing but a naive restart, for contrast. It pays twice.

The agent runs in a process of its own, killed for real after the upstream has acted; then it is simply run again.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from tape.core.agent.project import load_agents
from tape.core.config import Config
from tape.core.kernel.errors import EnvironmentTrouble, UsageError
from tape.core.sdk.decorators import TOOLS, Tool, is_async
from tape.core.sdk.effects import CURRENT_EFFECT, Effect
from tape.lab.demo import INPUT, judge
from tape.lab.upstream import environment_variable, parse_options, read_ledger, start_upstream

ACTED = b"acted"
STANDARD_ERROR = 2
START_SECONDS = 30.0


def run_bare(config: Config, say: Callable[[str], None]) -> int:
    """Runs, kills, restarts, counts. Returns 0 if the upstream was paid twice, as it must be without Tape."""
    if not config.upstream:
        raise UsageError("the demo needs a stand-in to be judged by: add `upstream: {bank: {}}` to tape.yaml")
    name, given = next(iter(config.upstream.items()))
    ledger = config.journal.parent / f"{name}.jsonl"
    with start_upstream(name, ledger, parse_options(given, f"tape.yaml: upstream {name}")) as upstream:
        since = len(read_ledger(ledger))
        environment = {**os.environ, environment_variable(name): upstream.url}
        with _agent(config, environment, stop_after_act=True) as (first, ear):
            say("✓ agent started (without Tape)")
            _await_act(ear)
        say(f"✗ agent killed mid-effect (pid {first.pid})")
        with _agent(config, environment, stop_after_act=False) as (second, _):
            say("↻ naive restart: the agent runs again from its top")
            code = second.wait()
        say("✓ run terminated cleanly" if code == 0 else f"✗ the agent ended with exit code {code}")
        verdict = judge(upstream, since)
    say(
        f"upstream observed {verdict.acts} {verdict.noun}{'' if verdict.acts == 1 else 's'} "
        + ("✗" if verdict.acts != 1 else "✓")
    )
    return 0 if verdict.acts == 2 and code == 0 else 1


@contextmanager
def _agent(
    config: Config, environment: Mapping[str, str], *, stop_after_act: bool
) -> Generator[tuple[subprocess.Popen[bytes], BinaryIO]]:
    """The agent in a session of its own, which is killed with the context, and the pipe by which it says that it has
    acted. What it prints goes to standard error."""
    name, target = next(iter(config.agents.items()))
    listens, says = os.pipe()
    told = {"root": str(config.root), "name": name, "target": str(target), "says": says if stop_after_act else None}
    with open(listens, "rb", buffering=0) as ear:
        try:
            process = subprocess.Popen(
                [sys.executable, "-m", "tape.lab.bare", json.dumps(told)],
                cwd=config.root,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=STANDARD_ERROR,
                start_new_session=True,
                pass_fds=(says,),
            )
        finally:
            os.close(says)
        try:
            yield process, ear
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _await_act(ear: BinaryIO) -> None:
    """Returns when the process says that its tool's body has returned. Raises EnvironmentTrouble if it has ended, or
    is silent for too long."""
    readable, _, _ = select.select([ear], [], [], START_SECONDS)
    if not readable or ear.read(len(ACTED)) != ACTED:
        raise EnvironmentTrouble("the agent did not get as far as its tool; run it under `tape dev` to see why")


class BareRun:
    """What an agent function needs of a run, without a journal: everything is simply called."""

    id = "bare"
    epoch = drive = 0
    replaying = False

    async def decide(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        return await _call(function, args, kwargs)

    async def call(self, name_or_tool: str | Tool[..., Any], /, **args: Any) -> Any:
        tool = TOOLS[name_or_tool] if isinstance(name_or_tool, str) else name_or_tool
        return await tool(**args)

    async def sample(self, function: Callable[[], Any], /) -> Any:
        return await _call(function, (), {})


async def _call(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if is_async(function):
        return await function(*args, **kwargs)
    return await asyncio.to_thread(function, *args, **kwargs)


def _stop_after(tool: Tool[..., Any], says: int) -> None:
    """Makes the process say that the body has returned, and wait there to be killed."""
    body = tool.function

    def told(*args: Any, **kwargs: Any) -> Any:
        result = asyncio.run(body(*args, **kwargs)) if is_async(body) else body(*args, **kwargs)
        os.write(says, ACTED)
        signal.pause()
        return result

    tool.function = told


async def _main(order: dict[str, Any]) -> None:
    agent = load_agents(Path(order["root"]), {order["name"]: order["target"]})[order["name"]]
    if order["says"] is not None:
        for tool in TOOLS.values():
            _stop_after(tool, order["says"])
    effect = Effect(key=f"bare/{os.getpid()}", tool="", args={}, run_id="bare", decision_index=None, call_ordinal=0)
    CURRENT_EFFECT.set(effect)
    await agent(BareRun(), INPUT)


if __name__ == "__main__":
    asyncio.run(_main(json.loads(sys.argv[1])))
