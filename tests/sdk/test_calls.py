"""What goes into a tool call and what comes out of it: arguments, results, errors, retries, time limits, usage."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, computed_field
from typing_extensions import TypedDict

import tape
from tape.core.agent.driver import drive
from tape.core.sdk.context import RunContext
from tape.core.sdk.decorators import agent as mark_agent
from tests.sdk.player import FakeServer, Played, play

assert drive


class Color(Enum):
    RED = "red"


class Invoice(BaseModel):
    number: int
    due: date

    @computed_field
    @property
    def label(self) -> str:
        return f"#{self.number}"


class Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    at: datetime
    pair: tuple[int, int]
    color: Color


@dataclass
class Point:
    x: int
    y: int = 0


class Shape(TypedDict):
    name: str
    points: list[Point]


NOON = datetime(2026, 1, 2, 12, 30, 0, 250, UTC)


def give(value: Any, annotation: Any) -> Callable[[], Any]:
    async def body() -> Any:
        return value

    body.__annotations__["return"] = annotation
    return body


def returned(value: Any, annotation: Any = Any) -> tuple[Any, Played]:
    """What the agent's code gets for a body that returns `value`, live; the same value must come on replay."""
    got: list[Any] = []

    async def agent(run: tape.Run) -> None:
        try:
            got.append(await tool())
        except tape.TapeError as error:
            got.append(f"{type(error).__name__}: {error}")

    tool = tape.tool(name="body", semantics="idempotent")(give(value, annotation))
    played = play(agent)
    play(agent, played.server.cut(len(played.server.records) - 1))
    assert repr(got[0]) == repr(got[1]), "the same on replay"
    return got[0], played


ROUND_TRIPS = [
    ("text", Any),
    (None, Any),
    (None, None),
    ({"a": [1, 2.5, True, None]}, Any),
    ({"a": 1}, dict),
    (7, int),
    (Invoice(number=7, due=date(2026, 1, 2)), Invoice),
    ([Invoice(number=7, due=date(2026, 1, 2))], list[Invoice]),
    (Strict(at=NOON, pair=(1, 2), color=Color.RED), Strict),
    (Point(1, 2), Point),
    ({"name": "line", "points": [Point(1), Point(2)]}, Shape),
    (NOON, datetime),
    (timedelta(seconds=90), timedelta),
    ((1, "two"), tuple[int, str]),
    ({1, 2}, set[int]),
    (Decimal("1.10"), Decimal),
    (Color.RED, Color),
    (b"plain", bytes),
    ("yes", Literal["yes", "no"]),
    (None, Point | None),
    ("e\u0301 \U0001f600 \x00", str),
]


@pytest.mark.parametrize(("value", "annotation"), ROUND_TRIPS, ids=lambda case: str(case)[:30])
def test_results_come_back_as_they_are_annotated(value: Any, annotation: Any) -> None:
    got, _ = returned(value, annotation)
    assert got == value and type(got) is type(value)


def test_without_an_annotation_the_value_is_plain_json_the_first_time_as_well() -> None:
    assert returned((1, Point(1, 2), NOON, Color.RED))[0] == [1, {"x": 1, "y": 2}, "2026-01-02T12:30:00.000250Z", "red"]


def test_what_the_code_gets_is_its_own() -> None:
    shared = {"list": [1]}

    async def agent(run: tape.Run) -> Any:
        first = await tool()
        first["list"].append(2)
        return [await tool(), shared]

    tool = tape.tool(name="body", semantics="idempotent")(give(shared, Any))
    assert play(agent).result == [{"list": [1]}, {"list": [1]}]


UNRECORDABLE = [
    (float("nan"), Any, "nan is not JSON"),
    ({"deep": [float("inf")]}, Any, "$.deep[0]"),
    (object(), Any, "not JSON"),
    ("x" * (1 << 20), Any, "the limit is 1048576 (1 MiB)"),
    (b"\xff\xfe", Any, "not JSON"),
    (1 << 70, Any, "beyond 64 bits"),
    ("\ud800", Any, "lone surrogate"),
    ("seven", int, "does not fit int"),
    ({"x": "one"}, Point, "does not fit Point: x"),
    (None, Point, "does not fit Point"),
    (functools.reduce(lambda inner, _: [inner], range(500), [1]), Any, "not JSON"),
    (functools.reduce(lambda inner, _: [inner], range(100_000), [1]), Any, "not JSON"),
]


@pytest.mark.parametrize(
    ("value", "annotation", "says"), UNRECORDABLE, ids=lambda case: str(case)[:30] if isinstance(case, str) else ""
)
def test_a_body_that_returned_has_acted_whatever_it_returned(value: Any, annotation: Any, says: str) -> None:
    got, played = returned(value, annotation)
    assert got.startswith("ResultUnrecordable: body has acted, but ") and says in got
    ended = next(body for _, kind, body in played.server.records if kind == "effect_ended")
    assert ended["status"] == "CONFIRMED"


def test_a_value_that_holds_itself() -> None:
    ring: list[Any] = []
    ring.append(ring)
    assert returned(ring)[0].startswith("ResultUnrecordable")


# --- arguments ----------------------------------------------------------------------------------------------------


def called(tool: Any, *args: Any, **kwargs: Any) -> Played:
    async def agent(run: tape.Run) -> Any:
        return await tool(*args, **kwargs)

    return play(agent)


def test_arguments_are_recorded_by_name_with_their_defaults_and_come_typed() -> None:
    seen: list[Any] = []

    @tape.tool(semantics="idempotent")
    async def pay(invoice: Invoice, *extra: Point, at: datetime = NOON, **more: Color) -> None:
        seen.extend([invoice, extra, at, more])

    played = called(pay, Invoice(number=1, due=date(2026, 1, 2)), Point(1), {"x": 3, "y": 4}, why="red")
    assert played.said == "finish", played.why
    assert seen == [Invoice(number=1, due=date(2026, 1, 2)), (Point(1), Point(3, 4)), NOON, {"why": Color.RED}]
    assert played.server.sent("begin")[0]["call"]["args"] == {
        "invoice": {"number": 1, "due": "2026-01-02"},
        "extra": [{"x": 1, "y": 0}, {"x": 3, "y": 4}],
        "at": "2026-01-02T12:30:00.000250Z",
        "more": {"why": "red"},
    }


WRONG_CALLS = [
    ((), {}, "missing a required argument"),
    ((1, 2, 3), {}, "too many positional arguments"),
    ((), {"amount": 1, "too": 2}, "unexpected keyword argument"),
    (("a lot",), {}, "pay(amount) does not fit int"),
    ((1,), {"note": object()}, "the arguments of pay is not JSON"),
    ((1,), {"note": "x" * (1 << 20)}, "1 MiB"),
    ((float("nan"),), {}, "not JSON"),
]


@pytest.mark.parametrize(("args", "kwargs", "says"), WRONG_CALLS, ids=[says for _, _, says in WRONG_CALLS])
def test_arguments_are_checked_before_anything_is_recorded(args: Any, kwargs: Any, says: str) -> None:
    @tape.tool(semantics="idempotent")
    async def pay(amount: int, note: Any = None) -> None:
        raise AssertionError("never entered")

    played = called(pay, *args, **kwargs)
    assert played.ended["error"]["type"] == "UsageError" and says in played.why
    assert played.server.kinds() == ["run_started", "run_ended"]
    with pytest.raises(AssertionError):
        assert "\n" in played.why


def test_annotations_that_mean_nothing_are_found_before_the_act() -> None:
    async def body(amount: int) -> Any:
        raise AssertionError("never entered")

    body.__annotations__["return"] = "NotImported"
    tool = tape.tool(name="body", semantics="idempotent")(body)
    assert "the annotation 'NotImported' of return means nothing here" in called(tool, 1).why


def test_annotations_that_cannot_be_checked_are_found_before_the_act() -> None:
    class Odd:
        pass

    async def body(amount: int) -> Any:
        raise AssertionError("never entered")

    body.__annotations__["return"] = Odd

    async def agent(run: tape.Run) -> list[str]:
        said = []
        for call in (lambda: tool(1), lambda: run.decide(body, 1), lambda: run.sample(sample)):
            try:
                await call()
            except tape.UsageError as error:
                said.append(str(error))
        return said

    def sample() -> Any:
        raise AssertionError("never drawn")

    sample.__annotations__["return"] = Odd
    tool = tape.tool(name="body", semantics="idempotent")(body)
    said = play(agent).result
    assert len(said) == 3
    assert all("cannot be checked" in text and "\n" not in text for text in said)


def test_only_what_is_needed_of_the_annotations_is_resolved() -> None:
    async def agent(run: Any, given: int) -> int:
        return given

    agent.__annotations__["run"] = "NotImported"
    assert play(agent, given=3).result == 3


def test_names_that_the_model_chose() -> None:
    @tape.tool(semantics="read_only")
    async def look(where: str) -> str:
        return where

    async def agent(run: tape.Run) -> list[Any]:
        found = [await run.call("look", where="here"), await run.call(look, where="there")]
        for wrong in ("loook", 7, len):
            try:
                await run.call(wrong, where="x")  # type: ignore[arg-type]
            except tape.UsageError as error:
                found.append(str(error))
        return found

    result = play(agent).result
    assert result[:2] == ["here", "there"]
    assert result[2] == "no tool is called 'loook' here; known: look"
    assert all("run.call takes the name of a tool" in text for text in result[3:])


def test_the_input_is_typed_and_checked() -> None:
    async def agent(run: tape.Run, invoice: Invoice) -> str:
        return invoice.label

    assert play(agent, given={"number": 7, "due": "2026-01-02"}).result == "#7"
    assert "the input of agent does not fit Invoice: number" in play(agent, given={"due": "2026-01-02"}).why


@pytest.mark.parametrize("result", [Point(1, 2), Invoice(number=1, due=date(2026, 1, 2)), NOON, (1, 2)])
def test_the_result_of_a_run_is_json(result: Any) -> None:
    async def agent(run: tape.Run) -> Any:
        return result

    assert play(agent).ended["outcome"] == "TERMINAL"


def test_a_result_that_is_not_json_is_a_failure() -> None:
    async def agent(run: tape.Run) -> Any:
        return object()

    assert "the result of the run is not JSON" in play(agent).why


def test_a_marked_agent_without_input() -> None:
    @mark_agent
    async def alone(run: tape.Run) -> str:
        return run.id

    assert play(alone, given={"ignored": 1}).ended["outcome"] == "TERMINAL"


class Mute(Exception):
    """Cannot say its text."""

    def __str__(self) -> str:
        return "{}: {}".format(*self.args)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (lambda: (row["id"] for row in [{"id": 1}, {}]), "the result of act is not JSON: KeyError: 'id'"),
        (lambda: (1 / 0 for _ in "x"), "the result of act is not JSON: ZeroDivisionError: division by zero"),
        (lambda: raising(ValueError("a\udcff")), "is not JSON: a\\udcff"),
        (lambda: raising(Mute("one")), "is not JSON: Mute: Mute"),
    ],
)
def test_a_result_that_raises_while_it_is_written_is_that_of_an_act(rows: Any, says: str) -> None:
    @tape.tool(semantics="non_idempotent")
    async def act() -> list[Any]:
        return rows()

    async def agent(run: tape.Run) -> str:
        with pytest.raises(tape.ResultUnrecordable) as raised:
            await act()
        return str(raised.value)

    played = play(agent)
    assert played.result.startswith("act has acted, but ") and says in played.result
    (ended,) = [body for _, kind, body in played.server.records if kind == "effect_ended"]
    assert ended["status"] == "CONFIRMED" and says in ended["result_error"]


def raising(error: Exception) -> Iterator[Any]:
    yield 1
    raise error


def test_an_error_that_cannot_say_its_text_is_recorded_by_its_name() -> None:
    @tape.tool(semantics="non_idempotent")
    async def act() -> None:
        raise Mute("one")

    async def model() -> None:
        raise Mute("two")

    async def agent(run: tape.Run) -> None:
        with pytest.raises(tape.ModelFailed, match="model: Mute: Mute"):
            await run.decide(model)
        with pytest.raises(tape.EffectFailed, match="act: Mute: Mute"):
            await act()
        raise Mute("three")

    played = play(agent)
    assert played.ended == {"outcome": "FAILED", "error": {"type": "Mute", "message": "Mute"}}


# --- keys ---------------------------------------------------------------------------------------------------------


def test_the_body_knows_its_effect() -> None:
    seen: list[tape.Effect] = []

    @tape.tool(semantics="idempotent", business_key=lambda to, amount: f"{to}/{amount}")
    def pay(to: str, amount: int) -> str:
        seen.append(tape.current_effect())
        return tape.idempotency_key()

    async def agent(run: tape.Run) -> str:
        return await pay("ACME", amount=3)

    played = play(agent)
    effect = seen[0]
    assert played.result == effect.key == "r-000000000001/-/0/pay"
    assert (effect.tool, effect.args, effect.attempt, effect.epoch) == ("pay", {"to": "ACME", "amount": 3}, 1, 1)
    assert (effect.decision_index, effect.call_ordinal, effect.run_id) == (None, 0, "r-000000000001")
    assert effect.business_key == "ACME/3" == played.server.sent("begin")[0]["call"]["business_key"]
    assert effect.begun_at.endswith("Z")


BAD_KEYS = [lambda to: 1 / 0, lambda to: 7, lambda to: "", lambda: "x", lambda to: "x" * 4001, lambda to: "a\udcff.pdf"]


@pytest.mark.parametrize("found", BAD_KEYS)
def test_a_business_key_that_goes_wrong(found: Any) -> None:
    @tape.tool(semantics="idempotent", business_key=found)
    async def pay(to: str) -> None:
        raise AssertionError("never entered")

    played = called(pay, "ACME")
    assert "business_key of pay" in played.why
    assert played.server.kinds() == ["run_started", "run_ended"]


def test_a_boundary_that_is_no_frame_uses_up_no_number() -> None:
    async def agent(run: tape.Run) -> str:
        assert isinstance(context[0], RunContext)
        with pytest.raises(tape.UsageError, match="a frame that is not JSON"):
            context[0].boundary("sample", {"sample": "\udcff"}, (("sample", 0), None))
        return await run.uuid()

    context: list[RunContext] = []
    played = play(agent, before=context.append)
    assert played.result
    assert [frame["n"] for frame in played.server.frames] == [1, 2, 3]
    assert not played.context.boundaries.open_outcomes


@pytest.mark.parametrize("name", ["idempotency_key", "current_effect"])
def test_keys_only_inside_a_body(name: str) -> None:
    with pytest.raises(tape.UsageError, match="inside a tool's body"):
        getattr(tape, name)()


# --- errors and retries -------------------------------------------------------------------------------------------


def test_a_rejection_is_the_same_on_replay() -> None:
    @tape.tool(semantics="non_idempotent")
    async def pay() -> None:
        raise tape.Rejected("no such account")

    got: list[str] = []

    async def agent(run: tape.Run) -> None:
        try:
            await pay()
        except tape.EffectFailed as error:
            got.append(str(error))

    played = play(agent)
    play(agent, played.server.cut(3))
    assert got == ["pay: Rejected: no such account"] * 2


HOWS = [
    ("read_only", 0, OSError("reset"), "failed"),
    ("read_only", 2, OSError("reset"), "raised"),
    ("idempotent", 0, OSError("reset"), "raised"),
    ("non_idempotent", 0, OSError("reset"), "raised"),
    ("non_idempotent", 0, TimeoutError("of its own"), "raised"),
    ("idempotent", 0, asyncio.CancelledError(), "raised"),
    ("idempotent", 0, GeneratorExit("odd"), "raised"),
    ("non_idempotent", 0, tape.Rejected("no"), "rejected"),
    ("idempotent", 0, ExceptionGroup("some", [ValueError("a")]), "raised"),
]


@pytest.mark.parametrize("sync", [False, True])
@pytest.mark.parametrize(("semantics", "retries", "error", "how"), HOWS, ids=lambda case: str(case)[:20])
def test_how_a_body_ended(semantics: str, retries: int, error: BaseException, how: str, sync: bool) -> None:
    if sync and isinstance(error, asyncio.CancelledError):
        pytest.skip("a thread is not cancelled")

    async def body() -> None:
        raise error

    def plain() -> None:
        raise error

    tool = tape.tool(name="body", semantics=semantics, retries=retries)(plain if sync else body)
    frame = called(tool).server.sent("end")[0]
    assert frame["ending"]["how"] == how
    assert frame["number"] == 1


def test_retries_start_as_the_journal_says() -> None:
    attempts: list[int] = []

    @tape.tool(semantics="idempotent", retries=2)
    async def flaky() -> int:
        attempts.append(tape.current_effect().attempt)
        if len(attempts) < 3:
            raise OSError("reset")
        return len(attempts)

    async def agent(run: tape.Run) -> int:
        return await flaky()

    server = FakeServer([(1, "run_started", {})], [1])
    server.failing = lambda frame: {"step": "again"} if frame["ending"]["how"] == "raised" else None
    played = play(agent, server)
    assert (played.result, attempts) == (3, [1, 2, 3])
    kinds = [frame["t"] for frame in server.frames]
    assert kinds == ["attach", "begin", "end", "attempt", "end", "attempt", "end", "finish"]


def test_the_key_is_the_same_on_every_attempt() -> None:
    """As a retry, and when the run is taken up again: the upstream knows the act by it."""
    seen: list[tuple[int, str]] = []

    @tape.tool(semantics="idempotent", retries=1)
    async def flaky() -> None:
        seen.append((tape.current_effect().attempt, tape.idempotency_key()))
        if len(seen) == 1:
            raise OSError("reset")

    async def agent(run: tape.Run) -> None:
        await flaky()

    server = FakeServer([(1, "run_started", {})], [1])
    server.failing = lambda frame: {"step": "again"} if frame["ending"]["how"] == "raised" else None
    whole = play(agent, server)
    play(agent, whole.server.cut(2))
    key = "r-000000000001/-/0/flaky"
    assert seen == [(1, key), (2, key), (2, key)]


def test_an_attempt_is_durable_before_the_body_is_entered_again() -> None:
    entered: list[int] = []

    @tape.tool(semantics="idempotent")
    async def put() -> None:
        entered.append(len(server.sent("attempt")))

    async def agent(run: tape.Run) -> None:
        await put()

    whole = play(agent)
    server = whole.server.cut(2)
    entered.clear()
    played = play(agent, server)
    assert played.said == "finish"
    assert entered == [1]
    assert server.sent("attempt")[0]["number"] == 2 == server.sent("end")[0]["number"]


def test_recorded_arguments_that_the_code_no_longer_takes_are_not_entered() -> None:
    from tape.core.sdk.bodies import attempt
    from tape.core.sdk.effects import UsageMeter

    @tape.tool(semantics="idempotent")
    async def put(amount: int) -> None:
        raise AssertionError("never entered")

    for args in ({"sum": 1}, {"amount": "many"}):
        effect = tape.Effect(key="k", tool="put", args=args, run_id="r", decision_index=None, call_ordinal=0)
        ending = asyncio.run(attempt(put, effect, UsageMeter()))
        assert ending["how"] == "rejected", "it certainly did not act"


# --- time limits --------------------------------------------------------------------------------------------------


def test_a_time_limit_ends_an_async_body() -> None:
    left: list[str] = []

    @tape.tool(semantics="idempotent", timeout=2)
    async def slow() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            left.append("left")

    server = called(slow).server
    assert server.sent("end")[0]["ending"] == {
        "how": "timed out",
        "error": {"type": "BodyTimeout", "message": "over the time limit of 2.0 s"},
    }
    assert left == ["left"]


def test_a_body_that_ends_well_after_its_limit_has_acted() -> None:
    @tape.tool(semantics="idempotent", timeout=2)
    async def stubborn() -> str:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            return "acted"
        return ""

    assert called(stubborn).result == "acted"


def test_a_body_that_does_not_end_ends_the_process(ends: list[str]) -> None:
    @tape.tool(semantics="idempotent", timeout=2)
    async def stubborn() -> None:
        for _ in range(20):
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(3600)

    called(stubborn)
    assert ends == ["stubborn does not end after its time limit of 2.0 s"]


def test_a_thread_over_its_limit_ends_the_process(ends: list[str]) -> None:
    @tape.tool(semantics="idempotent", timeout=2)
    def stubborn() -> None:
        threading.Event().wait(0.2)  # in the loop's time that is for ever

    async def agent(run: tape.Run) -> None:
        await stubborn()

    play(agent, stuck_threads=True)
    assert ends == ["stubborn is over its time limit of 2.0 s in a thread"]


# --- usage --------------------------------------------------------------------------------------------------------


def test_usage_adds_up_per_reply_and_per_act() -> None:
    @tape.tool(semantics="idempotent")
    async def search() -> None:
        tape.report_usage(usd=0.25)

    @tape.tool(semantics="idempotent")
    async def silent() -> None:
        pass

    async def ask(question: str) -> str:
        tape.report_usage(tokens_in=10, tokens_out=5, usd=0.001)
        await asyncio.gather(*[report(1) for _ in range(3)])
        return question

    async def report(tokens: int) -> None:
        tape.report_usage(tokens_in=tokens)

    def plain(question: str) -> str:
        tape.report_usage(tokens_out=7)
        return question

    async def agent(run: tape.Run) -> None:
        await asyncio.gather(run.decide(ask, "x"), search(), silent())
        await run.decide(plain, "y")

    server = play(agent).server
    assert [frame["usage"] for frame in server.sent("decision")] == [
        {"tokens_in": 13, "tokens_out": 5, "usd_micro": 1000},
        {"tokens_in": 0, "tokens_out": 7, "usd_micro": 0},
    ]
    by_tool = {frame["key"].rpartition("/")[2]: frame["usage"] for frame in server.sent("end")}
    assert by_tool == {"search": {"tokens_in": 0, "tokens_out": 0, "usd_micro": 250_000}, "silent": None}


@pytest.mark.parametrize(
    "usage", [{"tokens_in": -1}, {"usd": -0.1}, {"usd": float("nan")}, {"usd": 1e9}, {"tokens_out": 1.5}]
)
def test_usage_that_cannot_be(usage: Any) -> None:
    with pytest.raises(tape.UsageError):
        tape.report_usage(**usage)


def test_usage_outside_a_run_is_nothing() -> None:
    tape.report_usage(tokens_in=1)


# --- tools inside -------------------------------------------------------------------------------------------------


def test_inside_bodies_models_and_samples_a_tool_is_a_function() -> None:
    @tape.tool(semantics="idempotent")
    async def inner() -> str:
        return "inner"

    @tape.tool(semantics="idempotent")
    async def outer() -> str:
        return await inner()

    @tape.tool(semantics="idempotent")
    def thread() -> str:
        return asyncio.run(inner())  # type: ignore[arg-type]

    async def model(question: str) -> str:
        return await inner() + await inner.plain()

    async def agent(run: tape.Run) -> list[Any]:
        sampled = await run.sample(inner)
        return [await outer(), await run.decide(model, "x"), await run.decide(inner), sampled, await thread()]

    played = play(agent)
    assert played.result == ["inner", "innerinner", "inner", "inner", "inner"]
    begun = [body["tool"] for _, kind, body in played.server.records if kind == "effect_begun"]
    assert begun == ["outer", "thread"]


def test_inside_bodies_and_models_the_run_cannot_be_used() -> None:
    runs: list[tape.Run] = []

    @tape.tool(semantics="read_only")
    async def nosy() -> None:
        await runs[0].decide(nosier)

    async def nosier() -> None:
        await runs[0].now()

    async def agent(run: tape.Run) -> list[str]:
        runs[:] = [run]
        said = []
        for call in (nosy, lambda: run.decide(nosier), lambda: run.sample(nosier)):
            try:
                await call()
            except tape.TapeError as error:
                said.append(str(error))
        return said

    assert [text.count("cannot use the run") for text in play(agent).result] == [1, 1, 1]


def test_context_variables_of_the_code_reach_bodies_and_models() -> None:
    from contextvars import ContextVar

    request: ContextVar[str] = ContextVar("request", default="none")

    @tape.tool(semantics="idempotent")
    async def look() -> str:
        return request.get()

    @tape.tool(semantics="idempotent")
    def look_in_a_thread() -> str:
        return request.get()

    async def model(question: str) -> str:
        return request.get()

    async def agent(run: tape.Run) -> list[str]:
        request.set("mine")
        return [await look(), await look_in_a_thread(), await run.decide(model, "x"), await run.sample(request.get)]

    assert play(agent).result == ["mine"] * 4
