"""Runs hooks in this process: look-ups, outbox bodies, compensations. The reactors decide and record."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tape.core.kernel.errors import Rejected, UsageError
from tape.core.kernel.resolution import Semantics
from tape.core.sdk.context import run_body
from tape.core.sdk.decorators import Tool, find_tool, is_async
from tape.core.sdk.effects import CURRENT_EFFECT, Effect, Observation, UsageMeter
from tape.core.sdk.values import error_json, signature_of, to_json, typed
from tape.core.wire import Frame


def effect_of(frame: Frame) -> Effect:
    return Effect(**frame["effect"])


async def run_hook(frame: Frame) -> Frame:
    """Answers a hook frame: `what` is look-up, body, undo or undo-look-up. Never raises for what the author's code
    does: the answer says how it ended."""
    try:
        tool = find_tool(frame["tool"])
        effect = effect_of(frame)
        what = frame["what"]
        if what == "body":
            answer = await _body(tool, effect)
        elif what == "undo":
            answer = await _undo(tool, effect, frame["key"])
        else:
            answer = await _look_up(tool, effect, own=what == "look-up")
    except Exception as error:  # a hook's error is an answer, too
        answer = {"how": "raised", "error": error_json(error)}
    return {"t": "hook_result", "ticket": frame["ticket"], **answer}


async def _look_up(tool: Tool[..., Any], effect: Effect, *, own: bool) -> Frame:
    function = tool.look_up if own else (tool.undo.observe if tool.undo else None)
    if function is None:
        return _unclear(f"{tool.name} has no look-up in the code that runs now")
    try:
        observation = await _call(function, effect)
    except Exception as error:  # a look-up that fails could not say
        return _unclear(f"{type(error).__name__}: {error}")
    if not isinstance(observation, Observation):
        return _unclear(f"the look-up returned {type(observation).__name__}, not tape.present/absent/duplicate/unclear")
    acts: list[Any] = []
    for act in observation.acts:
        try:
            plain = to_json(act, "what the look-up found")
            if own:
                typed(plain, signature_of(tool.function).returns, "what the look-up found")
        except UsageError as error:
            return _unclear(str(error))
        acts.append(plain)
    return {"how": "answered", "answer": observation.answer, "acts": acts, "why": observation.why}


def _unclear(why: str) -> Frame:
    return {"how": "answered", "answer": "unclear", "acts": [], "why": why}


async def _body(tool: Tool[..., Any], effect: Effect) -> Frame:
    meter = UsageMeter()
    try:
        result = await run_body(tool, effect, meter)
    except Rejected as error:
        return {"how": "rejected", "error": error_json(error)}
    except Exception as error:  # ambiguous, unless the tool only reads
        how = "failed" if tool.options.semantics is Semantics.READ_ONLY else "raised"
        return {"how": how, "error": error_json(error)}
    try:
        return {"how": "returned", "result": to_json(result, f"the result of {tool.name}")}
    except UsageError as error:
        return {"how": "returned", "result": None, "result_error": str(error)}


async def _undo(tool: Tool[..., Any], effect: Effect, key: str) -> Frame:
    if tool.undo is None:
        return {"how": "missing", "error": {"type": "UsageError", "message": f"{tool.name} has no compensation"}}
    await _call(tool.undo.function, effect, key)
    return {"how": "returned", "result": None}


async def _call(function: Callable[..., Any], effect: Effect, key: str | None = None) -> Any:
    """Calls the hook; inside it `tape.idempotency_key()` is the undo's own key, `effect.key` that of the act."""

    async def call() -> Any:
        CURRENT_EFFECT.set(replace(effect, key=key or effect.key))
        if is_async(function):
            return await function(effect)
        return await asyncio.to_thread(function, effect)

    return await asyncio.get_running_loop().create_task(call())
