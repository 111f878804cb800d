"""Entering an author's functions: tool bodies, with their time limit and what their end means; models, hooks."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tape.core.kernel.errors import Rejected, UsageError
from tape.core.kernel.resolution import Semantics
from tape.core.sdk import rehearsal
from tape.core.sdk.client import end_own_group
from tape.core.sdk.decorators import Tool, is_async
from tape.core.sdk.effects import CURRENT_EFFECT, CURRENT_METER, Effect, UsageMeter
from tape.core.sdk.hiding import CURRENT_PLAIN, KNOWN, Plain, resolved
from tape.core.sdk.replay import Body
from tape.core.sdk.values import error_json, recordable, signature_of, to_json

BODY_END_SECONDS = 5.0


class BodyTimeout(TimeoutError):
    """The tool's own time limit is over; the body was cancelled and has ended."""


async def call_function(function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Calls an author's function: a plain one in a thread, and what it returns is awaited if it can be."""
    if is_async(function):
        return await function(*args, **kwargs)
    result = await asyncio.to_thread(function, *args, **kwargs)
    return await result if inspect.isawaitable(result) else result


async def attempt(
    tool: Tool[..., Any], effect: Effect, meter: UsageMeter, live: Mapping[str, Any] = {}, plain: Plain = KNOWN
) -> Body:
    """Enters the body once; returns how that ended as the wire's `ending`: returned, rejected (it certainly did not
    act), failed (it only reads), or `raised`, `timed out` (nobody knows). `live` are the redacted arguments, plain;
    what of them, or of secrets, is in a result or an error is replaced by a mark."""
    own = Plain(plain)
    for name, value in live.items():
        own.add(value, f"[redacted {name}]")
    CURRENT_PLAIN.set(own)
    try:
        positional, named = _arguments(tool, effect, live)
    except UsageError as error:  # today's code does not take the recorded arguments, or a secret is missing: no entry
        return {"how": "rejected", "error": error_json(error)}
    try:
        result = await _enter(tool, effect, meter, positional, named)
    except Rejected as error:
        return {"how": "rejected", "error": error_json(error)}
    except BodyTimeout as error:
        return _ambiguous(tool, error, "timed out")
    except (asyncio.CancelledError, SystemExit, KeyboardInterrupt):
        raise
    except BaseException as error:  # whatever else a body raises is an outcome of its attempt
        return _ambiguous(tool, error, "raised")
    try:
        return {"how": "returned", "result": own.scrub_json(to_json(result, f"the result of {tool.name}"))}
    except UsageError as error:
        return {"how": "returned", "result": None, "result_error": recordable(str(error))}


def _arguments(tool: Tool[..., Any], effect: Effect, live: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    if rehearsal.current() is not None:  # the body is played: no secret is needed
        return [], {}
    return signature_of(tool.function).call_arguments(resolved(effect.args, live))


def _ambiguous(tool: Tool[..., Any], error: BaseException, how: str) -> Body:
    reads = tool.options.semantics is Semantics.READ_ONLY and not tool.options.retries
    return {"how": "failed" if reads else how, "error": error_json(error)}


async def _enter(
    tool: Tool[..., Any], effect: Effect, meter: UsageMeter, positional: Sequence[Any], named: Mapping[str, Any]
) -> Any:
    """A body that does not end after its time limit (a thread cannot be cancelled) ends this process: only a dead
    process is certainly over."""

    async def call() -> Any:
        CURRENT_EFFECT.set(effect)
        CURRENT_METER.set(meter)
        played = rehearsal.current()
        return await (call_function(tool.function, positional, named) if played is None else played.act(effect))

    limit = tool.options.timeout
    task = asyncio.get_running_loop().create_task(call())
    await asyncio.wait({task}, timeout=limit)
    if not task.done():
        if not is_async(tool.function):
            end_own_group(f"{tool.name} is over its time limit of {limit} s in a thread")
        task.cancel()
        await asyncio.wait({task}, timeout=BODY_END_SECONDS)
        if not task.done():
            end_own_group(f"{tool.name} does not end after its time limit of {limit} s")
        if task.cancelled():
            raise BodyTimeout(f"over the time limit of {limit} s")
    if task.cancelled():
        raise RuntimeError("the body was cancelled from inside")
    return task.result()
