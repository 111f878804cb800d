"""Child runs: started by a plain call, waited for like a tool call, the same on replay."""

from __future__ import annotations

from collections.abc import Generator
from difflib import get_close_matches
from typing import Any

from tape.core.kernel import errors, identity
from tape.core.kernel.errors import UsageError
from tape.core.kernel.policy import CHILDREN_LIMIT, DEPTH_LIMIT
from tape.core.sdk.context import RunContext
from tape.core.sdk.decorators import Agent
from tape.core.sdk.replay import Body, Outcome, describe
from tape.core.sdk.values import check_annotation, signature_of, to_json, typed


class Child:
    """One child run. `await child` waits for its end, as often as one likes, and gives its result; raises ChildFailed
    if it ended FAILED or CANCELLED. To stop waiting (`asyncio.wait_for`) changes nothing about the child."""

    def __init__(self, context: RunContext, ordinal: int, name: str, agent: Agent) -> None:
        self.ordinal = ordinal
        self.agent = name
        self._context = context
        self._of = agent

    def __await__(self) -> Generator[Any, None, Any]:
        return self._result().__await__()

    async def started(self) -> str:
        """The id of the child's run, once it is durable."""
        return (await self._context.joined(("started", self.ordinal)))["child"]

    async def _result(self) -> Any:
        body = await self._context.joined(("child", self.ordinal))
        said = f"child {self.ordinal} ({self.agent}, {body['child']})"
        if body["status"] == "CANCELLED":
            raise errors.ChildFailed(f"{said} was cancelled")
        if body["status"] != "TERMINAL":
            error = body.get("error") or {"type": "Error", "message": "no reason was given"}
            raise errors.ChildFailed(f"{said} failed: {error['type']}: {error['message']}")
        try:
            return typed(body["result"], signature_of(self._of.function).returns, f"the result of {self.agent}")
        except UsageError as error:
            raise errors.ChildFailed(f"{said} has ended well, but {error}") from None

    def __repr__(self) -> str:
        return f"<tape.Child {self.ordinal} ({self.agent})>"


class Children:
    """`run.start` of one drive."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._count = 0

    def start(self, asked: Agent | str, given: Any) -> Child:
        """Takes the child's ordinal now: children are numbered in the order of the calls. Whatever is refused here is
        not recorded; it depends on nothing that changes, so it is refused on replay too."""
        context = self._context
        context.check()
        name, agent = self._agent(asked)
        request = to_json(given, f"the input of {name}")
        _check_input(name, agent, request)
        fingerprint = identity.fingerprint("child", name, request)
        self._check_limits(name, fingerprint)
        check_annotation(signature_of(agent.function).returns, f"the result of {name}")
        ordinal, self._count = self._count, self._count + 1
        self._start(ordinal, name, request, fingerprint)
        return Child(context, ordinal, name, agent)

    def _agent(self, asked: Any) -> tuple[str, Agent]:
        """The agent by the name that tape.yaml gives it."""
        known = self._context.agents
        if isinstance(asked, Agent):
            for name, agent in known.items():
                if agent is asked:
                    return name, agent
            raise UsageError(f"{asked!r} is no agent of this project: name it under `agents` in tape.yaml")
        if not isinstance(asked, str):
            raise UsageError(f"run.start takes an agent of this project or its name, not {asked!r}")
        if asked not in known:
            near = get_close_matches(asked, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"it has: {', '.join(known) or 'none'}"
            raise UsageError(f"this project has no agent {asked!r}; {hint}")
        return asked, known[asked]

    def _check_limits(self, name: str, fingerprint: str) -> None:
        lineage = self._context.lineage
        if fingerprint in lineage:
            above = lineage.index(fingerprint)
            who = "this run" if above == 0 else f"its ancestor {above} above"
            raise UsageError(f"run.start({name}) with the same input as {who}: that would never end")
        if len(lineage) > DEPTH_LIMIT:
            raise UsageError(f"run.start({name}) {len(lineage)} runs deep: {DEPTH_LIMIT} is the limit")
        if self._count >= CHILDREN_LIMIT:
            raise UsageError(f"run.start({name}): a run has at most {CHILDREN_LIMIT} children")

    def _start(self, ordinal: int, name: str, request: Any, fingerprint: str) -> None:
        context = self._context
        ended: Outcome = ("child", ordinal)
        started: Outcome = ("started", ordinal)
        recorded = context.tape.children.get(ordinal)
        asked = describe("child", name, request)
        if recorded is not None:
            if recorded["fingerprint"] != fingerprint:
                context.diverge(context.tape.describe(ended), asked)
            context.note_call(started)
            context.note_call(ended)
            context.external.add(ended)
            return
        body: Body = {"ordinal": ordinal, "agent": name, "input": request, "fingerprint": fingerprint}

        def begin() -> None:
            context.external.add(ended)
            context.boundary("child", body, (started, None))

        context.note_call(started)
        context.perform(ended, asked, begin)


def _check_input(name: str, agent: Agent, request: Any) -> None:
    """Raises UsageError for an input that the agent would refuse: better here than in a run of its own."""
    signature = signature_of(agent.function)
    parameters = signature.parameters()
    if len(parameters) >= 2:
        typed(request, signature.annotation(parameters[1]), f"the input of {name}")
