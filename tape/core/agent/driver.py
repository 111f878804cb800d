"""One drive: the agent function over its tape to its end, a park, a cancel, a divergence, or a lost lease."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import traceback
from pathlib import Path
from typing import Any

from tape.core.kernel import errors
from tape.core.kernel.errors import RunInterrupted, UsageError
from tape.core.sdk.calls import Calls
from tape.core.sdk.children import Children
from tape.core.sdk.client import end_own_group
from tape.core.sdk.code import CURRENT_CODE
from tape.core.sdk.context import RunContext
from tape.core.sdk.decisions import Decisions
from tape.core.sdk.decorators import Agent
from tape.core.sdk.effects import CURRENT_RUN, POINT_HANDLER
from tape.core.sdk.gates import Approvals, Gates
from tape.core.sdk.hiding import CURRENT_PLAIN
from tape.core.sdk.replay import Body
from tape.core.sdk.run import Run
from tape.core.sdk.samples import Samples
from tape.core.sdk.timers import Timers
from tape.core.sdk.values import error_json, signature_of, to_json, typed

_OURS = str(Path(__file__).parents[2])


async def drive(context: RunContext, agent: Agent, given: Any) -> str:
    """Drives the run and sends its last boundary. Returns what it did, for the log. A run whose context is interrupted
    already is not entered."""
    ended: Body = {}
    context.purse.declare(agent.budget)
    CURRENT_PLAIN.set(context.plain)
    if context.signal is None:
        main = asyncio.get_running_loop().create_task(_main(context, agent, given))
        context.code.main = main
        await asyncio.wait({main, context.code.abandoned}, return_when=asyncio.FIRST_COMPLETED)
        if main.done():
            ended = _ending(context, main)
    if context.signal is None:
        _refuse_leftover(context, ended)
    context.close()
    while context.underway:
        await asyncio.wait(context.underway)
    context.code.end()
    return await _last_word(context, ended)


async def _main(context: RunContext, agent: Agent, given: Any) -> Any:
    approvals = Approvals()
    calls = Calls(context, approvals)
    CURRENT_RUN.set(calls)
    CURRENT_CODE.set(context.code)
    POINT_HANDLER.set(context.reach)
    gates = Gates(context, approvals)
    parts = Decisions(context), Samples(context), Timers(context), gates, Children(context)
    run = Run(context, calls, *parts)
    signature = signature_of(agent.function)
    names = signature.parameters()
    if len(names) < 2:
        return await agent.function(run)
    return await agent.function(run, typed(given, signature.annotation(names[1]), f"the input of {agent.name}"))


def _ending(context: RunContext, main: asyncio.Task[Any]) -> Body:
    """What the agent function came to, as the body of `run_ended`."""
    if main.cancelled():
        error = UsageError("the agent function was cancelled from inside")
        return {"outcome": "FAILED", "error": error_json(error)}
    raised = main.exception()
    if raised is None:
        try:
            result = to_json(main.result(), "the result of the run")
            return {"outcome": "TERMINAL", "result": context.plain.scrub_json(result)}
        except UsageError as error:
            return {"outcome": "FAILED", "error": error_json(error)}
    if not isinstance(raised, Exception) and context.signal is None:
        raise raised  # no error of a run: the process ends, as in a crash
    if context.signal is None:  # where in the author's code: the record holds only what was raised
        _print(raised)
    return {"outcome": "FAILED", "error": error_json(raised)}


def _print(raised: BaseException) -> None:
    """An input that does not fit was raised before any code of the author's: one line says it."""
    entered = any(not frame.filename.startswith(_OURS) for frame in traceback.extract_tb(raised.__traceback__))
    if entered:
        traceback.print_exception(raised)
    else:
        print(*traceback.format_exception_only(raised), sep="", end="", file=sys.stderr)


def _refuse_leftover(context: RunContext, ended: Body) -> None:
    context.refuse_leftover("returned" if ended["outcome"] == "TERMINAL" else f"raised {_said(ended['error'])}")


def _said(error: Body) -> str:
    return f"{error['type']}: {error['message']}"


async def _last_word(context: RunContext, ended: Body) -> str:
    with contextlib.suppress(RunInterrupted):  # the signal stands in the context; what it asks for is done below
        await context.durable()
    signal = context.signal
    if isinstance(signal, errors.LeaseLost):
        return "lost its lease"
    if isinstance(signal, errors.RunDiverged):
        seq = context.misfit.seq if context.misfit is not None else None
        return await _last(context, "diverge", {"why": str(signal), "fits_to": seq and seq - 1})
    capped = signal is None and context.awaits_caps()
    if isinstance(signal, errors.RunParked) or context.in_doubt() or context.awaits_effects() or capped:
        return await _last(
            context,
            "park",
            {
                "waits": context.waits(),
                "why": str(signal or ("a cap is in the way" if capped else "an effect is open")),
            },
        )
    if signal is None and ended["outcome"] == "TERMINAL" and (children := context.open_children()):
        return await _last(context, "park", {"waits": children, "why": "a child is open"})
    if context.cancelled or isinstance(signal, errors.RunCancelled):
        ended = {"outcome": "CANCELLED"}
    return await _last(context, "finish", {"ended": ended})


async def _last(context: RunContext, kind: str, body: Body) -> str:
    """The drive's last boundary. Without a lease somebody else decides about the run; if it is refused for anything
    else, this process still holds a lease that it cannot give back, and ends as in a crash."""
    sent = context.boundary(kind, body)
    await asyncio.wait({sent})
    refused = sent.exception()
    if refused is None:
        return kind
    if not isinstance(refused, errors.LeaseLost):
        end_own_group(f"the {kind} of {context.run_id} was refused: {refused}")
    return f"{kind} was refused: {refused}"
