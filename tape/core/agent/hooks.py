"""Runs hooks in this process: look-ups, outbox bodies, compensations. The reactors decide and record."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tape.core import wire
from tape.core.kernel.errors import UsageError, text_of
from tape.core.sdk import rehearsal
from tape.core.sdk.bodies import attempt, call_function
from tape.core.sdk.decorators import Tool, find_tool
from tape.core.sdk.effects import CURRENT_EFFECT, Effect, Observation, UsageMeter
from tape.core.sdk.hiding import CURRENT_PLAIN, KNOWN, Plain, opened, without_redacted
from tape.core.sdk.values import error_json, recordable, signature_of, to_json, typed
from tape.core.wire import Frame


async def run_hook(frame: Frame) -> Frame:
    """Answers a hook frame: `what` is look-up, body, undo or undo-look-up. Never raises for what the author's code
    does: the answer says how it ended."""
    plain = Plain(KNOWN)
    CURRENT_PLAIN.set(plain)
    try:
        tool = find_tool(frame["tool"])
        given = dict(frame["effect"])
        given["args"] = opened(given["args"], given.pop("hidden", None))
        effect = Effect(**given)
        what = frame["what"]
        if what == "body":
            meter = UsageMeter()
            answer = await attempt(tool, effect, meter, plain=plain)
            answer["usage"] = meter.as_json() if meter.reported else None
        elif what == "undo":
            answer = await _undo(tool, effect, frame["key"])
        else:
            answer = await _look_up(tool, effect, frame["key"], own=what == "look-up")
    except Exception as error:  # a hook's error is an answer, too
        answer = {"how": "raised", "error": error_json(error)}
    return _framed(frame, answer)


def _framed(asked: Frame, answer: Frame) -> Frame:
    """The answer as a frame; if it is none (it is too long), one that says so."""
    head = {"t": "hook_result", "ticket": asked["ticket"]}
    try:
        wire.encode({**head, **answer})
    except UsageError as error:
        why = f"its answer cannot be sent: {error}"
        found = asked["what"] in ("look-up", "undo-look-up")
        answer = _unclear(why) if found else {"how": "raised", "error": error_json(UsageError(why))}
    return {**head, **answer}


async def _look_up(tool: Tool[..., Any], effect: Effect, key: str, *, own: bool) -> Frame:
    function = tool.look_up if own else (tool.undo.observe if tool.undo else None)
    if function is None:
        return _unclear(f"{tool.name} has no look-up in the code that runs now")
    try:
        played = rehearsal.current() if own else None
        observation = await (_call(function, effect, key) if played is None else played.observe(effect))
    except Exception as error:  # a look-up that fails could not say
        return _unclear(f"{type(error).__name__}: {text_of(error)}")
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
        acts.append(without_redacted(CURRENT_PLAIN.get().scrub_json(plain), effect.args))
    return {"how": "answered", "answer": observation.answer, "acts": acts, "why": recordable(str(observation.why))}


def _unclear(why: str) -> Frame:
    return {"how": "answered", "answer": "unclear", "acts": [], "why": recordable(why)}


async def _undo(tool: Tool[..., Any], effect: Effect, key: str) -> Frame:
    if tool.undo is None:
        return {"how": "missing", "error": {"type": "UsageError", "message": f"{tool.name} has no compensation"}}
    played = rehearsal.current()
    await (_call(tool.undo.function, effect, key) if played is None else played.undo(effect))
    return {"how": "returned", "result": None}


async def _call(function: Callable[..., Any], effect: Effect, key: str) -> Any:
    """Calls the hook; inside it `tape.idempotency_key()` is the hook's own key (an undo's), `effect.key` the act's."""

    async def call() -> Any:
        CURRENT_EFFECT.set(replace(effect, key=key))
        return await call_function(function, (effect,), {})

    task = asyncio.get_running_loop().create_task(call())
    await asyncio.wait({task})
    if task.cancelled():
        raise RuntimeError("the hook was cancelled from inside")
    error = task.exception()
    if error is not None and not isinstance(error, Exception):
        raise RuntimeError(f"{type(error).__name__}: {text_of(error)}") from error
    return task.result()
