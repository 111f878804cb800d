"""Decisions: the model is asked once, its reply or its error is recorded and handed over as it stands on the tape."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tape.core.kernel import errors, identity
from tape.core.kernel.errors import UsageError
from tape.core.sdk import change, rehearsal
from tape.core.sdk.bodies import call_function
from tape.core.sdk.context import RunContext
from tape.core.sdk.decorators import check_result_function, limits_of, name_of
from tape.core.sdk.effects import CURRENT_METER, UsageMeter
from tape.core.sdk.hiding import CURRENT_PLAIN, Plain, lifted, resolved
from tape.core.sdk.replay import Outcome, describe
from tape.core.sdk.values import check_annotation, error_json, returns_of, to_json, typed
from tape.core.wire import NOTHING_BEGUN, Frame

REQUEST_LIMIT_BYTES = 8 << 20
"""Largest request: a conversation may be longer than any other value, and must fit a frame with its reply."""


@dataclass(frozen=True, slots=True)
class _Question:
    """One decision to be asked for; `request` is what is asked as JSON, with `hidden` secrets by name."""

    index: int
    name: str
    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    request: Any
    fingerprint: str

    @property
    def outcome(self) -> Outcome:
        return ("decision", self.index)

    @property
    def place(self) -> str:
        return f"decision {self.index}"

    def __str__(self) -> str:
        return describe("decision", self.name, self.request)


class Decisions:
    """`run.decide` of one drive."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._deciding = False
        self._refusals = 0
        """Of the decision that is to be asked for next."""

    async def decide(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        context = self._context
        await context.admit()
        if self._deciding:
            raise UsageError("a second decide at the same time: decide one after the other, or use child runs")
        check_result_function(function, "a model function")
        returns = returns_of(function)
        check_annotation(returns, f"the reply of {name_of(function)}")
        question = self._question(function, args, kwargs)
        self._deciding = True
        refusal: Outcome = ("refusal", (question.place, self._refusals))
        try:
            name = self._ask_or_replay(question, refusal)
            body = await context.outcome(name)
        except BaseException:
            if refusal in context.tape.settled:
                context.places.take_back_decision()
                self._refusals += 1
            raise
        finally:
            self._deciding = False
        self._refusals = 0
        if body.get("error") is not None:
            error = body["error"]
            raise errors.ModelFailed(f"{question.name}: {error['type']}: {error['message']}")
        try:
            return typed(body["reply"], returns, f"the reply of {question.name}")
        except UsageError as error:
            raise errors.ModelFailed(str(error)) from None

    def _question(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Question:
        name = name_of(function)
        asked, hidden = lifted({"args": list(args), "kwargs": kwargs})
        asked = {**asked, "hidden": hidden} if hidden else asked
        request = to_json(asked, f"what is asked of {name}", REQUEST_LIMIT_BYTES)
        fingerprint = identity.fingerprint("decision", name, request)
        return _Question(self._context.places.next_decision(), name, function, args, kwargs, request, fingerprint)

    def _ask_or_replay(self, question: _Question, refusal: Outcome) -> Outcome:
        """Returns what is to be waited for."""
        context = self._context
        recorded, refused = context.tape.decisions.get(question.index), context.tape.refusals.get(refusal[1])
        if refused is not None:
            if not self._fits(refused["fingerprint"], question):
                context.diverge(context.tape.describe(refusal), str(question), refusal)
            context.note_call(refusal)
            return refusal
        if recorded is None:
            context.perform(question.outcome, question, lambda: self._begin(question))
        elif not self._fits(recorded["fingerprint"], question):
            told, asked = context.tape.describe(question.outcome), str(question)
            further = " (they differ further inside)" if told == asked else ""
            context.diverge(told, asked + further, question.outcome)
        else:
            context.note_call(question.outcome)
        return question.outcome

    def _fits(self, recorded: str, question: _Question) -> bool:
        return self._context.same(recorded, question.fingerprint, "decision", question.name, question.request)

    def _begin(self, question: _Question) -> None:
        context = self._context
        earlier = context.boundaries.unanswered()
        capped = context.purse.capped
        ask = {
            "index": question.index,
            "name": question.name,
            "waits": context.armed,
            "limits": limits_of(question.function).as_json(),
            "capped": capped,
            "fingerprint": question.fingerprint,
        }
        asked = context.boundary("ask", ask, refusable=question.outcome if capped else None)
        waits_for = [*earlier, asked] if context.armed or capped else earlier
        context.start(self._ask(question, waits_for), abandonable=True)

    async def _ask(self, question: _Question, earlier: list[asyncio.Future[Frame]]) -> None:
        """Asks the model once everything before it is durable, and what it may cost is held back; then sends its reply
        on its way to the journal."""
        context = self._context
        await context.durable(earlier)
        if any(sent.result().keys() & NOTHING_BEGUN for sent in earlier[-1:] if not sent.exception()):
            return
        meter = UsageMeter()
        CURRENT_METER.set(meter)
        plain = Plain(context.plain)
        CURRENT_PLAIN.set(plain)
        reply: Any = None
        error: dict[str, str] | None = None
        try:
            played = rehearsal.current()
            if played is None:
                args, kwargs = resolved((question.args, question.kwargs), {})
                answer = await call_function(question.function, args, kwargs)
            else:
                answer = await played.reply(question.index)
            reply = plain.scrub_json(to_json(answer, f"the reply of {question.name}"))
        except Exception as raised:  # whatever an author's model function raises is a recorded reply
            error = error_json(raised)
        except asyncio.CancelledError as raised:
            if context.signal is not None:
                raise
            error = error_json(raised)  # from inside the model function
        body = {
            "index": question.index,
            "name": question.name,
            "fingerprint": question.fingerprint,
            "request": question.request,
            "reply": reply,
            "error": error,
            "code": change.code_hash(),
            "tools": change.tools_hash(),
        }
        frame = {"decision": body, "usage": meter.as_json()}
        context.tape.charge(question.place, frame["usage"])
        if context.may_pipeline():
            context.boundary("decision", {**frame, "waits": False})
            context.tape.put_next(question.outcome, body)
        else:
            await context.boundary("decision", {**frame, "waits": True}, (question.outcome, body))
