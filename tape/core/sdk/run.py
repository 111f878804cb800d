"""What an agent function gets (api.md section 1)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

from tape.core.kernel.errors import UsageError
from tape.core.sdk.decorators import Agent, Tool, find_tool, name_of

if TYPE_CHECKING:  # an author's `run: tape.Run` is looked at when the file is imported: it must cost nothing
    from tape.core.sdk.calls import Calls
    from tape.core.sdk.children import Child, Children
    from tape.core.sdk.context import RunContext
    from tape.core.sdk.decisions import Decisions
    from tape.core.sdk.gates import BoundCall, Gates
    from tape.core.sdk.purse import RunBudget
    from tape.core.sdk.samples import Samples
    from tape.core.sdk.timers import Timers

P = ParamSpec("P")
T = TypeVar("T")


class Run:
    """One run. `epoch`, `drive` and `replaying` are for logs only, never for branching."""

    def __init__(
        self,
        context: RunContext,
        calls: Calls,
        decisions: Decisions,
        samples: Samples,
        timers: Timers,
        gates: Gates,
        children: Children,
    ) -> None:
        self._context = context
        self._calls = calls
        self._decisions = decisions
        self._samples = samples
        self._timers = timers
        self._gates = gates
        self._children = children

    @property
    def id(self) -> str:
        return self._context.run_id

    @property
    def epoch(self) -> int:
        return self._context.epoch

    @property
    def drive(self) -> int:
        return self._context.drive

    @property
    def replaying(self) -> bool:
        return not self._context.live

    @property
    def budget(self) -> RunBudget:
        """What the run may spend and has spent, as of the current record: the same on replay."""
        return self._context.purse.view()

    @overload
    async def decide(self, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> T: ...
    @overload
    async def decide(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...
    async def decide(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Asks `function` once and journals its reply; on replay returns the record, typed by its return annotation.
        Raises ModelFailed if it raised."""
        return await self._decisions.decide(function, args, kwargs)

    async def call(self, name_or_tool: str | Tool[..., Any], /, **args: Any) -> Any:
        """The same as calling the tool, for names chosen by the model. Raises UsageError for an unknown name."""
        asked: Any = name_or_tool
        if not isinstance(asked, str | Tool):
            raise UsageError(f"run.call takes the name of a tool or a tool, not {asked!r}")
        tool = find_tool(name_or_tool) if isinstance(name_or_tool, str) else name_or_tool
        return await self._calls.call_tool(tool, (), args)

    @overload
    async def sample(self, function: Callable[[], Awaitable[T]], /) -> T: ...
    @overload
    async def sample(self, function: Callable[[], T], /) -> T: ...
    async def sample(self, function: Callable[[], Any], /) -> Any:
        """Journals what `function` (plain or async) returns, typed by its return annotation. Raises SampleFailed if it
        raised."""
        return await self._samples.sample(name_of(function), function)

    async def now(self) -> datetime:
        """The journalled time, UTC."""
        stamp: int = await self._samples.sample("now", self._context.clock.wall_us)
        return datetime.fromtimestamp(stamp // 1_000_000, UTC).replace(microsecond=stamp % 1_000_000)

    async def uuid(self) -> str:
        """A journalled random UUID (version 4) as text."""
        return await self._samples.sample("uuid", self._new_uuid)

    def _new_uuid(self) -> str:
        bits = self._context.clock.bits(128)
        bits = bits & ~(0xF000 << 64) | 0x4000 << 64
        text = f"{bits & ~(0xC000 << 48) | 0x8000 << 48:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    async def random(self) -> float:
        """A journalled random number, at least 0 and below 1."""
        return await self._samples.sample("random", lambda: self._context.clock.bits(53) / (1 << 53))

    async def sleep(self, seconds: float) -> None:
        """A durable timer: the worker is free meanwhile, and a crash does not restart it."""
        await self._timers.sleep(seconds)

    async def gate(
        self,
        name: str,
        prompt: str = "",
        options: Sequence[str] = ("approve", "deny"),
        timeout: float | None = None,
        on_timeout: str | None = None,
        approves: BoundCall | None = None,
    ) -> str:
        """Waits for a person or a program, and returns the answer: one of `options`. The worker is free meanwhile.

        `timeout` in seconds: if nobody has answered by then, `on_timeout` is the answer; without it GateTimeout is
        raised. `approves=tool.bind(...)` shows that exact call and binds the answer to it: the first option approves.
        From then on calls of that tool are made only with an unused approval of exactly their arguments; without one
        they raise NotApproved."""
        return await self._gates.gate(name, prompt, options, timeout, on_timeout, approves)

    def start(self, agent: Agent | str, input: Any = None, /) -> Child:
        """Starts a child run of an agent of this project and returns its handle at once; `await child` gives its
        result, typed by its return annotation. Raises UsageError for an agent that the project does not have, an input
        that does not fit, and for a child that an ancestor is already."""
        return self._children.start(agent, input)
