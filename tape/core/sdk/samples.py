"""Samples: what is not the same twice (time, chance, a file's content) is drawn once and recorded."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from tape.core.kernel import errors, identity
from tape.core.sdk.context import RunContext
from tape.core.sdk.decorators import check_result_function
from tape.core.sdk.effects import CURRENT_METER, UsageMeter
from tape.core.sdk.replay import Outcome
from tape.core.sdk.values import check_annotation, error_json, returns_of, to_json, typed


class Samples:
    """`run.sample`, `run.now`, `run.uuid`, `run.random` of one drive."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._count = 0

    async def sample(self, name: str, function: Callable[[], Any]) -> Any:
        context = self._context
        await context.admit()
        check_result_function(function, "a sample function")
        returns = returns_of(function)
        check_annotation(returns, f"the sample {name}")
        index, self._count = self._count, self._count + 1
        outcome: Outcome = ("sample", index)
        fingerprint = identity.fingerprint("sample", name, None)
        recorded = context.tape.samples.get(index)
        if recorded is None:
            head = {"index": index, "name": name, "fingerprint": fingerprint}
            context.perform(outcome, f"sample {name}", lambda: self._draw(outcome, head, function))
        elif recorded["fingerprint"] != fingerprint:
            context.diverge(context.tape.describe(outcome), f"sample {name}", outcome)
        else:
            context.note_call(outcome)
        body = await context.outcome(outcome)
        if body.get("error") is not None:
            raise errors.SampleFailed(f"{name}: {body['error']['type']}: {body['error']['message']}")
        try:
            return typed(body["value"], returns, f"the sample {name}")
        except errors.UsageError as error:
            raise errors.SampleFailed(str(error)) from None

    def _draw(self, outcome: Outcome, head: dict[str, Any], function: Callable[[], Any]) -> None:
        """A plain function is called here and now, so that records stand in the order of the calls."""
        inside = CURRENT_METER.set(UsageMeter())  # a tool called in here is a function, as in a model function
        try:
            found = function()
            if not inspect.isawaitable(found):
                self._send(outcome, head, to_json(found, f"the sample {head['name']}"), None)
                return
        except Exception as raised:  # recorded, the same on replay
            self._send(outcome, head, None, error_json(raised))
            return
        finally:
            CURRENT_METER.reset(inside)
        self._context.start(self._await(outcome, head, found), abandonable=True)

    async def _await(self, outcome: Outcome, head: dict[str, Any], found: Awaitable[Any]) -> None:
        CURRENT_METER.set(UsageMeter())
        value: Any = None
        error: dict[str, str] | None = None
        try:
            value = to_json(await found, f"the sample {head['name']}")
        except Exception as raised:  # recorded, the same on replay
            error = error_json(raised)
        except asyncio.CancelledError as raised:
            if self._context.signal is not None:
                raise
            error = error_json(raised)  # from inside the function
        self._send(outcome, head, value, error)

    def _send(self, outcome: Outcome, head: dict[str, Any], value: Any, error: dict[str, str] | None) -> None:
        context = self._context
        body = {**head, "value": value, "error": error}
        if context.may_pipeline():
            context.boundary("sample", {"sample": body, "waits": False})
            context.tape.put_next(outcome, body)
        else:
            context.boundary("sample", {"sample": body}, (outcome, body))
