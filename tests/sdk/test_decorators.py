"""Marks on an author's functions: every option, every wrong option in one line, calls outside a run."""

from __future__ import annotations

import asyncio
import functools
import re
from collections.abc import Callable
from typing import Any

import pytest

import tape
from tape.core.agent.project import load_agents
from tape.core.kernel.resolution import Dispatch, OnUnknown, Semantics
from tape.core.sdk.calls import tool_policy
from tape.core.sdk.decorators import TOOLS, find_tool


async def body(amount: int = 1) -> int:
    """Pays."""
    return amount


def plain(amount: int = 1) -> int:
    return amount


def test_an_undeclared_tool_is_non_idempotent_without_look_up() -> None:
    tool = tape.tool(body)
    assert tool_policy(tool) == {
        "semantics": "non_idempotent", "look_up": False, "authoritative": False, "settle_us": 0, "on_unknown": "ask",
        "key_lifetime_us": None, "retries": 0, "dispatch": "inline", "compensable": False, "undo_auto": False,
        "undo_semantics": "non_idempotent", "undo_look_up": False, "needs_approval": False, "timeout_us": None,
    }  # fmt: skip
    assert not tool.options.declared


def test_every_option() -> None:
    tool = tape.tool(
        name="pay", semantics="idempotent", dispatch="outbox", business_key=str, authoritative=True, settle_delay=0.2,
        on_unknown="compensate", retries=3, timeout=1.5, key_lifetime=60,
    )(body)  # fmt: skip
    options = tool.options
    assert (options.semantics, options.dispatch) == (Semantics.IDEMPOTENT, Dispatch.OUTBOX)
    assert (options.on_unknown, options.retries, options.timeout) == (OnUnknown.COMPENSATE, 3, 1.5)
    assert (options.business_key, options.declared) == (str, True)
    policy = tool_policy(tool)
    assert (policy["settle_us"], policy["key_lifetime_us"]) == (200_000, 60_000_000)
    assert (tool.name, tool.__name__, tool.__doc__) == ("pay", "pay", "Pays.")
    assert tool.plain is tool.function is body
    assert repr(tool) == "<tape.tool pay (idempotent)>"
    assert find_tool("pay") is tool


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"semantics": "sometimes"}, "tool body: semantics is 'sometimes'; it is one of: read_only, idempotent, non_id"),
    ({"semantics": ""}, "semantics is ''"),
    ({"semantics": True}, "semantics is True"),
    ({"dispatch": "later", "semantics": "idempotent"}, "dispatch is 'later'; it is one of: inline, outbox"),
    ({"dispatch": "outbox"}, "dispatch='outbox' needs declared semantics: add semantics='idempotent'"),
    ({"on_unknown": "hope"}, "on_unknown is 'hope'; it is one of: ask, compensate"),
    ({"settle_delay": -1}, "settle_delay is -1; it is a number of seconds"),
    ({"settle_delay": "1s"}, "settle_delay is '1s'"),
    ({"settle_delay": True}, "settle_delay is True"),
    ({"settle_delay": float("nan")}, "settle_delay is nan"),
    ({"retries": -1}, "retries is -1; it is a whole number from 0 to 1000"),
    ({"retries": 1.5}, "retries is 1.5"),
    ({"retries": True}, "retries is True"),
    ({"timeout": 0}, "timeout is 0; leave it out for no limit"),
    ({"timeout": -2}, "timeout is -2"),
    ({"key_lifetime": "a day"}, "key_lifetime is 'a day'"),
    ({"authoritative": "yes"}, "authoritative is 'yes'; it is True or False"),
    ({"business_key": "to"}, "business_key is 'to'; it is a function of the tool's arguments"),
    ({"name": "a/b"}, "a tool cannot be called 'a/b'"),
    ({"name": ""}, "a tool cannot be called ''"),
    ({"name": 7}, "a tool cannot be called 7"),
    ({"name": "x" * 300}, "a name without slashes, please"),
    ({"needs_approval": "yes"}, "needs_approval is 'yes'"),
    ({"cost": -1}, "cost in dollars is -1; it is a finite number of dollars"),
    ({"cost": float("nan")}, "cost in dollars is nan"),
    ({"cost": float("inf")}, "cost in dollars is inf"),
    ({"cost": True}, "cost in dollars is True"),
    ({"cost": "cheap"}, "cost in dollars is 'cheap'"),
    ({"cost": 2_000_000}, "cost in dollars is 2000000"),
    ({"redact": ("to",)}, "tool body: redact names 'to', which is no parameter of it; there are: amount"),
    ({"redact": "amount"}, "tool body: redact is 'amount'; it is the names of parameters, like (\"card\",)"),
    ({"redact": (1,)}, "tool body: redact is (1,); it is the names of parameters"),
    ({"redact": 7}, "tool body: redact is 7"),
    (
        {"redact": ("amount",), "dispatch": "outbox", "semantics": "idempotent"},
        "redact and dispatch='outbox' do not go together: the outbox calls from the record",
    ),
    ({"retry": 3, "semantic": "idempotent"}, "tool body has no option retry, semantic"),
]


@pytest.mark.parametrize(("options", "says"), WRONG, ids=[says[:40] for _, says in WRONG])
def test_wrong_options_are_one_line(options: dict[str, Any], says: str) -> None:
    with pytest.raises(tape.UsageError, match=re.escape(says)) as caught:
        tape.tool(**options)(body)
    assert "\n" not in str(caught.value)
    assert "body" not in TOOLS


def test_options_of_a_later_release_may_be_given_as_their_defaults() -> None:
    tape.tool(cost=None, needs_approval=False, redact=())(body)  # type: ignore[call-overload]


class Shop:
    def pay(self, amount: int) -> int:
        return amount

    async def __call__(self, amount: int) -> int:
        return amount


def generator(amount: int) -> Any:
    yield amount


async def async_generator(amount: int) -> Any:
    yield amount


REFUSED: list[tuple[Any, str]] = [
    (7, "a tool is a function, not 7"),
    (generator, "a tool must return its result: generator yields instead"),
    (async_generator, "a tool must return its result"),
    (Shop.pay, "tool pay is a method"),
    (functools.partial(body, 1), "has no name of its own"),
    (Shop(), "has no name of its own"),
]


@pytest.mark.parametrize(("function", "says"), REFUSED, ids=[says for _, says in REFUSED])
def test_what_cannot_be_a_tool(function: Any, says: str) -> None:
    with pytest.raises(tape.UsageError, match=re.escape(says)):
        tape.tool(function)


@pytest.mark.parametrize("function", [Shop().pay, functools.partial(body), functools.partial(plain), Shop()])
async def test_what_can_be_one_with_a_name(function: Any) -> None:
    tool = tape.tool(name="named")(function)
    assert await tool(3) == 3


def test_two_tools_with_one_name() -> None:
    def elsewhere() -> None: ...

    tape.tool(name="pay")(body)
    tape.tool(name="pay")(body)  # the same function again: a module that is loaded anew
    with pytest.raises(tape.UsageError, match=r"two tools are called 'pay': .*test_decorators.body and .*elsewhere"):
        tape.tool(name="pay")(elsewhere)


def test_a_tool_that_nobody_knows() -> None:
    tape.tool(name="pay")(body)
    with pytest.raises(tape.UsageError, match="no tool is called 'ship' here; known: pay"):
        find_tool("ship")


# --- hooks --------------------------------------------------------------------------------------------------------


def test_hooks_stay_what_they_are() -> None:
    tool = tape.tool(semantics="idempotent")(body)

    @tool.observe
    async def find(effect: tape.Effect) -> tape.Observation:
        return tape.absent()

    @tool.compensate
    def undo(effect: tape.Effect) -> None: ...

    assert tool.look_up is find
    assert tool.undo is not None and tool.undo.function is undo
    assert (tool.undo.semantics, tool.undo.observe, tool.undo.auto) == (Semantics.NON_IDEMPOTENT, None, True)
    policy = tool_policy(tool)
    assert (policy["look_up"], policy["compensable"], policy["undo_auto"], policy["undo_look_up"]) == (
        True, True, True, False,
    )  # fmt: skip
    assert asyncio.run(find(effect())) == tape.absent()
    for again in (tool.observe, tool.compensate, tool.compensate(semantics="idempotent")):
        with pytest.raises(tape.UsageError, match=r"tool body has a (look-up|compensation) already"):
            again(undo)


def test_a_compensation_with_semantics_and_look_up_of_its_own() -> None:
    def undone(effect: tape.Effect) -> tape.Observation:
        return tape.present(None)

    tool = tape.tool(body)

    @tool.compensate(semantics="idempotent", observe=undone, auto=False)
    def undo(effect: tape.Effect) -> None: ...

    policy = tool_policy(tool)
    assert (policy["undo_semantics"], policy["undo_look_up"], policy["undo_auto"]) == ("idempotent", True, False)
    with pytest.raises(tape.UsageError, match="semantics is 'maybe'"):
        tape.tool(name="other")(plain).compensate(semantics="maybe")(undo)
    with pytest.raises(tape.UsageError, match="auto is 'no'"):
        tape.tool(name="third")(plain).compensate(auto="no")(undo)  # type: ignore[arg-type]


@pytest.mark.parametrize("hook", ["observe", "compensate"])
def test_hooks_that_yield_are_refused(hook: str) -> None:
    with pytest.raises(tape.UsageError, match="must return its result"):
        getattr(tape.tool(body), hook)(generator)


def effect() -> tape.Effect:
    return tape.Effect(key="k", tool="body", args={}, run_id="r", decision_index=None, call_ordinal=0)


def test_answers_of_look_ups() -> None:
    assert tape.present({"id": 1}).acts == ({"id": 1},)
    assert tape.duplicate([1, 2]).acts == (1, 2)
    assert tape.unclear("fog").why == "fog"
    with pytest.raises(tape.UsageError, match="at least two acts"):
        tape.duplicate([1])


def test_a_compensation_that_is_promised_must_be_there(tmp_path: Any) -> None:
    (tmp_path / "promised.py").write_text(
        "import tape\n"
        "@tape.agent\nasync def treasury(run): ...\n"
        "@tape.tool(on_unknown='compensate')\ndef gamble(): ...\n"
    )
    with pytest.raises(tape.UsageError, match="tool gamble: on_unknown='compensate' needs a compensation"):
        load_agents(tmp_path, {"treasury": "promised:treasury"})


# --- outside a run ------------------------------------------------------------------------------------------------


async def test_outside_a_run_a_call_runs_the_function() -> None:
    assert await tape.tool(name="a")(body)(amount=3) == 3
    assert await tape.tool(name="b")(plain)(4) == 4
    assert plain(5) == tape.tool(name="c")(plain).plain(5)


async def test_a_plain_function_runs_in_a_thread() -> None:
    import threading

    assert await tape.tool(name="where")(threading.get_ident)() != threading.get_ident()


def test_code_that_is_being_closed_enters_no_function() -> None:
    """At the end of a process, say: what is pending then belongs to a run, and there is none any more."""
    entered: list[int] = []

    @tape.tool
    async def closing_note() -> None:
        entered.append(1)

    async def pending() -> None:
        try:
            await asyncio.sleep(0)
        finally:
            await closing_note()

    left = pending()
    left.send(None)
    with pytest.raises(tape.RunInterrupted, match="being closed"):
        left.close()
    assert not entered


async def test_errors_outside_a_run_are_the_functions_own() -> None:
    async def broken() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await tape.tool(broken)()


def test_a_call_as_a_value() -> None:
    tool = tape.tool(body)
    assert tool.bind(3) == (tool, (3,), {})
    assert tool.bind(amount=3) == (tool, (), {"amount": 3})


# --- models and agents --------------------------------------------------------------------------------------------


async def test_a_model_stays_a_function() -> None:
    marked = tape.model(max_tokens=10, max_usd=0.1)(body)
    assert marked is body and await marked(3) == 3
    assert (body.tape_model.max_tokens, body.tape_model.max_usd) == (10, 0.1)  # type: ignore[attr-defined]


async def test_agents() -> None:
    budget = tape.Budget(usd=1.0, tokens=5, calls={"pay": 3})

    async def treasury(run: Any, task: str) -> str:
        """Pays."""
        return task

    bare, named = tape.agent(treasury), tape.agent(name="bank", budget=budget)(treasury)
    assert (bare.name, bare.budget, bare.__doc__) == ("treasury", None, "Pays.")
    assert (named.name, named.budget) == ("bank", budget)
    assert repr(named) == "<tape.agent bank>"
    assert await named(None, "pay") == "pay"


async def no_parameters() -> None: ...


async def three(run: Any, first: Any, second: Any) -> None: ...


async def defaults(run: Any, first: Any = 1, second: Any = 2) -> None: ...


@pytest.mark.parametrize("function", [plain, no_parameters, three, async_generator, generator])
def test_what_cannot_be_an_agent(function: Callable[..., Any]) -> None:
    with pytest.raises(tape.UsageError, match=rf"agent {function.__name__} (must be|takes)"):
        tape.agent(function)


def test_an_agent_with_defaults() -> None:
    assert tape.agent(defaults).name == "defaults"
