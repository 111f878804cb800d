"""Child runs as an agent's code sees them: handles, outcomes in tape order, refusals, replay."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel

import tape
from tape.core.kernel.identity import fingerprint
from tape.core.kernel.policy import CHILDREN_LIMIT
from tests.sdk.player import FakeServer, Played, play


class Report(BaseModel):
    pages: int


@tape.agent
async def scout(run: tape.Run, task: str) -> Report: ...


@tape.agent(name="plain-name")
async def plain(run: tape.Run) -> str: ...


@tape.agent
async def stranger(run: tape.Run) -> None: ...


@tape.tool(name="child_test_act", semantics="idempotent")
async def act(name: str) -> str:
    return name.upper()


AGENTS = {"scout": scout, "other": plain}


def fresh() -> FakeServer:
    return FakeServer([(1, "run_started", {})], [1])


def drive(agent: Any, server: FakeServer | None = None, **named: Any) -> Played:
    return play(agent, server if server is not None else fresh(), agents=AGENTS, **named)


def live(agent: Any, server: FakeServer | None = None, *, last: bool = False, **ends: dict[str, Any]) -> Played:
    """Drives the run to its end. Each time it parks for children, the first of them (or the last) ends: as is said
    for it, or well."""
    server = server if server is not None else fresh()
    while True:
        played = drive(agent, server)
        if played.said != "park":
            return played
        ordinal = server.open_children()[-1 if last else 0]
        assert f"child {ordinal}" in server.sent("park")[-1]["waits"]
        server.end_child(ordinal, **ends.get(f"c{ordinal}", {"result": {"pages": ordinal}}))


def test_a_child_gives_its_result_typed() -> None:
    async def agent(run: tape.Run) -> int:
        report = await run.start(scout, "north")
        assert type(report) is Report
        return report.pages

    server = fresh()
    assert live(agent, server).result == 0
    (started,) = server.sent("child")
    assert (started["ordinal"], started["agent"], started["input"]) == (0, "scout", "north")
    again = drive(agent, server.cut(len(server.records) - 1))
    assert again.result == 0 and not again.server.sent("child"), "asked once"


def test_an_agent_is_called_as_tape_yaml_calls_it() -> None:
    async def agent(run: tape.Run) -> list[str]:
        return [run.start(plain).agent, run.start("other", 1).agent]

    server = fresh()
    played = drive(agent, server)
    assert [frame["agent"] for frame in server.sent("child")] == ["other", "other"]
    assert played.said == "park" and server.sent("park")[0]["waits"] == ["child 0", "child 1"]


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("scuot", "no agent 'scuot'; did you mean scout?"),
        ("zzz", "it has: scout, other"),
        (stranger, "no agent of this project: name it under `agents`"),
        (act, "takes an agent of this project or its name"),
        (None, "takes an agent of this project or its name"),
    ],
)
def test_an_agent_that_the_project_does_not_have(asked: Any, says: str) -> None:
    async def agent(run: tape.Run) -> str:
        with pytest.raises(tape.UsageError, match=says):
            run.start(asked, "x")
        return (await run.start(scout, "y")).model_dump_json()

    server = fresh()
    assert live(agent, server).result == '{"pages":0}', "and it takes no ordinal"
    assert len(server.sent("child")) == 1


@pytest.mark.parametrize(("given", "says"), [(7, "does not fit str"), (object(), "is not JSON")])
def test_an_input_that_does_not_fit_starts_nothing(given: Any, says: str) -> None:
    async def agent(run: tape.Run) -> None:
        run.start(scout, given)

    played = drive(agent)
    assert played.ended["outcome"] == "FAILED" and says in played.why and not played.server.sent("child")


def test_an_ancestor_is_not_started_again() -> None:
    async def agent(run: tape.Run) -> list[str]:
        said: list[str] = []
        for task in ("me", "above", "new"):
            try:
                run.start(scout, task)
            except tape.UsageError as error:
                said.append(str(error))
        return said

    lineage = [fingerprint("child", "scout", task) for task in ("me", "above")]
    played = drive(agent, lineage=lineage)
    assert [frame["input"] for frame in played.server.sent("child")] == ["new"]
    server = played.server.cut(len(played.server.records))
    again = drive(agent, server, lineage=lineage, before=lambda context: context.take_record(*server.end_child(0)))
    assert again.result == [
        "run.start(scout) with the same input as this run: that would never end",
        "run.start(scout) with the same input as its ancestor 1 above: that would never end",
    ]


def test_not_too_deep() -> None:
    async def agent(run: tape.Run) -> None:
        run.start(scout, "x")

    assert drive(agent, lineage=["f"] * 16).said == "park"
    assert "16 is the limit" in drive(agent, lineage=["f"] * 17).why


def test_not_too_many() -> None:
    async def agent(run: tape.Run) -> str:
        for number in range(CHILDREN_LIMIT):
            run.start("other", number)
        with pytest.raises(tape.UsageError, match="at most 10000 children"):
            run.start("other", "one more")
        raise ValueError("enough")

    assert len(drive(agent).server.sent("child")) == CHILDREN_LIMIT


@pytest.mark.parametrize(
    ("end", "says"),
    [
        (
            {"status": "FAILED", "error": {"type": "ValueError", "message": "no road"}},
            "child 0 (scout, r-child0) failed: ValueError: no road",
        ),
        ({"status": "CANCELLED"}, "child 0 (scout, r-child0) was cancelled"),
        (
            {"result": {"pages": "many"}},
            "child 0 (scout, r-child0) has ended well, but the result of scout does not fit Report: "
            "pages: Input should be a valid integer, unable to parse string as an integer",
        ),
    ],
)
def test_a_child_that_fails(end: dict[str, Any], says: str) -> None:
    async def agent(run: tape.Run) -> str:
        child = run.start(scout, "north")
        for _ in range(2):
            with pytest.raises(tape.ChildFailed) as caught:
                await child
        return str(caught.value)

    server = fresh()
    assert live(agent, server, c0=end).result == says
    assert drive(agent, server.cut(len(server.records) - 1)).result == says, "the same on replay"


def test_the_id_is_known_when_it_is_durable() -> None:
    async def agent(run: tape.Run) -> list[str]:
        first, second = run.start(scout, "a"), run.start(scout, "b")
        ids = [await second.started(), await first.started(), await first.started()]
        await asyncio.gather(first, second)
        return ids

    server = fresh()
    expected = ["r-child1", "r-child0", "r-child0"]
    assert live(agent, server).result == expected
    for count in server.commits[:-1]:
        cut = server.cut(count)
        assert live(agent, cut).result == expected


def test_a_parent_parks_for_those_that_it_awaits() -> None:
    async def agent(run: tape.Run) -> None:
        run.start(scout, "left to itself")
        await asyncio.gather(run.start(scout, "b"), run.start(scout, "c"))

    played = drive(agent)
    assert played.said == "park" and played.server.sent("park")[0]["waits"] == ["child 1", "child 2"]


def test_a_run_that_ends_well_waits_for_its_children_first() -> None:
    async def agent(run: tape.Run) -> str:
        run.start(scout, "a")
        return "done"

    server = fresh()
    played = drive(agent, server)
    assert played.said == "park" and played.why == "a child is open"
    assert server.kinds() == ["run_started", "child_started"]
    cut = server.cut(2)
    cut.end_child(0, status="CANCELLED")
    assert drive(agent, cut).result == "done", "nobody asked how the child ended"


def test_a_run_that_fails_does_not_wait() -> None:
    async def agent(run: tape.Run) -> None:
        run.start(scout, "a")
        raise ValueError("no use")

    played = drive(agent)
    assert played.said == "finish" and played.ended["outcome"] == "FAILED"
    assert played.server.kinds() == ["run_started", "child_started", "run_ended"], "the start is durable before the end"


def test_a_cancelled_run_starts_none() -> None:
    async def agent(run: tape.Run) -> None:
        run.start(scout, "a")

    played = drive(agent, cancelled=True)
    assert played.ended == {"outcome": "CANCELLED"} and not played.server.sent("child")


def test_to_stop_waiting_changes_nothing_about_the_child() -> None:
    async def agent(run: tape.Run) -> list[Any]:
        child = run.start(scout, "slow")
        said: list[Any] = []
        try:
            await asyncio.wait_for(child, 0.1)
        except TimeoutError:
            said.append("too slow")
        said.append(await act("meanwhile"))
        said.append((await child).pages)
        return said

    server = fresh()
    assert live(agent, server).result == ["too slow", "MEANWHILE", 0]
    for count in server.commits[1:-1]:
        assert live(agent, server.cut(count)).result == ["too slow", "MEANWHILE", 0]


def test_branches_interleave_as_they_did() -> None:
    """The children end in another order than they were started; the second time nothing is different."""
    seen: list[str] = []

    async def branch(run: tape.Run, name: str) -> None:
        report = await run.start(scout, name)
        seen.append(f"{name} {report.pages} {await act(f'{name} after {len(seen)}')}")

    async def agent(run: tape.Run) -> list[str]:
        seen.clear()
        await asyncio.gather(*[branch(run, name) for name in "abc"])
        return list(seen)

    server = fresh()

    first = live(agent, server, last=True).result
    assert [text[:3] for text in first] == ["c 2", "b 1", "a 0"]
    assert drive(agent, server.cut(len(server.records) - 1)).result == first


def test_a_thousand_children_at_once() -> None:
    async def agent(run: tape.Run) -> int:
        reports = await asyncio.gather(*[run.start(scout, f"{number}") for number in range(1000)])
        return sum(report.pages for report in reports)

    server = fresh()
    assert drive(agent, server).said == "park" and len(server.sent("park")[0]["waits"]) == 1000
    for ordinal in reversed(range(1000)):
        server.end_child(ordinal, {"pages": ordinal})
    assert drive(agent, server).result == 499_500
    assert drive(agent, server.cut(len(server.records) - 1)).result == 499_500


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (("scout", "south"), "recorded child scout('north') | the code asks child scout('south')"),
        (("other", "north"), "recorded child scout('north') | the code asks child other('north')"),
    ],
)
def test_another_child_diverges(changed: tuple[str, str], says: str) -> None:
    asked = ["scout", "north"]

    async def agent(run: tape.Run) -> None:
        await run.start(asked[0], asked[1])

    server = fresh()
    drive(agent, server)
    asked[:] = changed
    assert says in drive(agent, server.cut(2)).diverged


def test_a_child_that_the_code_no_longer_starts_diverges() -> None:
    wants = [True]

    async def agent(run: tape.Run) -> str:
        if wants[0]:
            await run.start(scout, "north")
        return "done"

    server = fresh()
    drive(agent, server)
    wants[0] = False
    assert "recorded child scout('north') | the code returned" in drive(agent, server.cut(2)).diverged


def test_a_body_cannot_start_a_child() -> None:
    runs: list[tape.Run] = []

    @tape.tool(name="child_test_meddle", semantics="idempotent")
    async def meddle() -> None:
        runs[0].start(scout, "x")

    async def agent(run: tape.Run) -> str:
        runs.append(run)
        with pytest.raises(tape.EffectFailed):
            await meddle()
        return "refused"

    server = fresh()
    server.failing = lambda frame: (
        server.record("effect_ended", key=frame["key"], status="FAILED", error=frame["ending"]["error"])
        and {"ended": {"status": "FAILED", "result": None, "error": frame["ending"]["error"], "result_error": None}}
    )
    assert drive(agent, server).result == "refused"
    assert not server.sent("child")
