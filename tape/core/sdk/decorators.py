"""`@tape.agent`, `@tape.tool`, `@tape.model`: marks on an author's functions (api.md section 1).

Light on purpose: a module that uses these must import in a few milliseconds, so types are looked at (pydantic)
and loops are touched (asyncio) only when something is called.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from sys import exc_info
from typing import Any, Generic, ParamSpec, TypeVar, cast, overload

from tape.core.kernel.errors import RunInterrupted, UsageError
from tape.core.kernel.resolution import Dispatch, OnUnknown, Semantics
from tape.core.sdk.effects import COST_LIMIT, CURRENT_EFFECT, CURRENT_METER, CURRENT_RUN, Budget, micro_usd

P = ParamSpec("P")
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

LONGEST_SECONDS = 1e9
MOST_RETRIES = 1000
DEEPEST_CONTEXT = 100
"""So many errors are looked at that were raised while another was handled: by hand they can be linked in a ring."""


def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling it gives a coroutine."""
    return bool(_flags(function) & 0x180)  # CO_COROUTINE | CO_ITERABLE_COROUTINE


def _flags(function: Callable[..., Any]) -> int:
    """The flags of the function's code, so that neither inspect nor asyncio is needed. 0: it has none in Python."""
    while isinstance(function, partial):
        function = function.func  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    code = getattr(function, "__code__", None)
    if code is None:  # an instance that can be called
        code = getattr(vars(type(function)).get("__call__"), "__code__", None)
    return int(code.co_flags) if code is not None else 0


def name_of(function: Callable[..., Any]) -> str:
    """The function's name; of a partial the name of what it calls, of an instance that of its class."""
    while isinstance(function, partial):
        function = function.func  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return getattr(function, "__name__", None) or type(function).__name__


def check_result_function(function: Any, what: str) -> None:
    """Raises UsageError for what cannot be called, and for generators: their code runs when nobody expects it."""
    if not callable(function):
        raise UsageError(f"{what} is a function, not {function!r}")
    if _flags(function) & 0x220:  # CO_GENERATOR | CO_ASYNC_GENERATOR
        raise UsageError(f"{what} must return its result: {name_of(function)} yields instead")


@dataclass(frozen=True, slots=True)
class Undo:
    """How an act is undone: the function, its own semantics, its own look-up; `auto` is undone when its run fails."""

    function: Callable[..., Any]
    semantics: Semantics
    observe: Callable[..., Any] | None
    auto: bool


@dataclass(frozen=True, slots=True)
class ToolOptions:
    """What a tool declares; times in seconds."""

    semantics: Semantics
    declared: bool
    dispatch: Dispatch
    business_key: Callable[..., str] | None
    authoritative: bool
    settle_delay: float
    on_unknown: OnUnknown
    retries: int
    timeout: float | None
    key_lifetime: float | None
    needs_approval: bool = False
    cost: float | Callable[..., float] | None = None
    redact: tuple[str, ...] = ()


TOOLS: dict[str, Tool[..., Any]] = {}
"""Every marked tool by name: how a name that the model chose, or a hook's order, finds its tool."""


def find_tool(name: str) -> Tool[..., Any]:
    """Raises UsageError for a name that no tool has."""
    found = TOOLS.get(name)
    if found is None:
        raise UsageError(f"no tool is called {name!r} here; known: {', '.join(sorted(TOOLS)) or 'none'}")
    return found


def _register(tool: Tool[..., Any]) -> None:
    known = TOOLS.get(tool.name)
    if known is not None and _home(known.function) != _home(tool.function):
        raise UsageError(
            f"two tools are called {tool.name!r}: {_home(known.function)} and {_home(tool.function)}; "
            "give one of them another name with @tape.tool(name=...)"
        )
    TOOLS[tool.name] = tool


def _home(function: Callable[..., Any]) -> str:
    while isinstance(function, partial):
        function = function.func  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    place = function if hasattr(function, "__qualname__") else type(function)
    return f"{place.__module__}.{place.__qualname__}"


class Tool(Generic[P, T]):
    """A marked tool. Inside a run a call is an effect; outside it, in a body or in a model function it runs the
    function (a plain `def` in a thread)."""

    def __init__(self, function: Callable[P, Any], name: str, options: ToolOptions) -> None:
        self.function = function
        self.plain = function
        self.name = name
        self.options = options
        self.look_up: Callable[..., Any] | None = None
        self.undo: Undo | None = None
        self.__name__ = name
        self.__doc__ = function.__doc__
        self.__wrapped__ = function
        if options.redact:
            _check_redact(self)
        _register(self)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        _refuse_closing(self.name)
        run = CURRENT_RUN.get()
        if run is None or CURRENT_EFFECT.get() is not None or CURRENT_METER.get() is not None:
            return _plain_call(self.function, args, kwargs)
        return run.call_tool(self, args, kwargs)

    def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> Awaitable[str]:
        """Hands the call to the outbox and does not wait for its end: returns the idempotency key as soon as the intent
        is durable. The run goes on, and may end before it is dispatched. For `dispatch="outbox"` and inside a run only,
        else UsageError."""
        if self.options.dispatch is not Dispatch.OUTBOX:
            raise UsageError(f'{self.name}.enqueue needs the outbox: declare @tape.tool(dispatch="outbox", ...)')
        _refuse_closing(self.name)
        run = CURRENT_RUN.get()
        if run is None or CURRENT_EFFECT.get() is not None or CURRENT_METER.get() is not None:
            raise UsageError(f"{self.name}.enqueue works in an agent function during a run: there is no journal here")
        return run.enqueue_tool(self, args, kwargs)

    def bind(self, *args: P.args, **kwargs: P.kwargs) -> tuple[Tool[P, T], tuple[Any, ...], dict[str, Any]]:
        """The call as a value."""
        return (self, args, dict(kwargs))

    def observe(self, function: F) -> F:
        """Marks the look-up: did this effect land? It gets a `tape.Effect` and returns a `tape.Observation`."""
        if self.look_up is not None:
            raise UsageError(f"tool {self.name} has a look-up already")
        check_result_function(function, f"the look-up of {self.name}")
        self.look_up = function
        return function

    @overload
    def compensate(self, function: F, /) -> F: ...
    @overload
    def compensate(
        self,
        function: None = None,
        /,
        *,
        semantics: str = "non_idempotent",
        observe: Callable[..., Any] | None = None,
        auto: bool = True,
    ) -> Callable[[F], F]: ...
    def compensate(
        self,
        function: F | None = None,
        /,
        *,
        semantics: str = "non_idempotent",
        observe: Callable[..., Any] | None = None,
        auto: bool = True,
    ) -> F | Callable[[F], F]:
        """Marks the inverse, with semantics and a look-up of its own. It gets a `tape.Effect`."""

        def mark(found: F) -> F:
            if self.undo is not None:
                raise UsageError(f"tool {self.name} has a compensation already")
            check_result_function(found, f"the compensation of {self.name}")
            if type(auto) is not bool:
                raise UsageError(f"{self.name}: auto is {auto!r}; it is True or False")
            self.undo = Undo(found, _one_of(Semantics, semantics, f"{self.name}: semantics"), observe, auto)
            return found

        return mark if function is None else mark(function)

    def __repr__(self) -> str:
        return f"<tape.tool {self.name} ({self.options.semantics})>"


def _refuse_closing(name: str) -> None:
    """Raises RunInterrupted in a coroutine that is being closed (GeneratorExit): it cannot wait for anything any more,
    and if the garbage collector closes it, the run that seems to be current is somebody else's. An async generator is
    closed by a task of its own run's, which can wait."""
    error = exc_info()[1]
    for _ in range(DEEPEST_CONTEXT):
        if error is None:
            return
        if isinstance(error, GeneratorExit) and not _raised_in_async_generator(error):
            raise RunInterrupted(f"{name} is called by code that is being closed: it is not done")
        error = error.__context__


def _raised_in_async_generator(error: BaseException) -> bool:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and bool(trace.tb_frame.f_code.co_flags & 0x200)  # CO_ASYNC_GENERATOR


async def _plain_call(function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    if is_async(function):
        return await function(*args, **kwargs)
    from asyncio import to_thread

    result = await to_thread(function, *args, **kwargs)
    return await result if hasattr(result, "__await__") else result


def _one_of(values: Any, text: Any, what: str) -> Any:
    try:
        return values(text)
    except ValueError:
        known = ", ".join(str(value) for value in values)
        raise UsageError(f"{what} is {text!r}; it is one of: {known}") from None


def _not_negative(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < LONGEST_SECONDS:
        raise UsageError(f"{what} is {value!r}; it is a number of seconds, not negative")
    return float(value)


def _positive(value: Any, what: str) -> float | None:
    if value is None:
        return None
    seconds = _not_negative(value, what)
    if not seconds:
        raise UsageError(f"{what} is {value!r}; leave it out for no limit")
    return seconds


def _count(value: Any, what: str) -> int:
    if type(value) is not int or not 0 <= value <= MOST_RETRIES:
        raise UsageError(f"{what} is {value!r}; it is a whole number from 0 to {MOST_RETRIES}")
    return value


def _yes_or_no(value: Any, what: str) -> bool:
    if type(value) is not bool:
        raise UsageError(f"{what} is {value!r}; it is True or False")
    return value


def _function_or_none(value: Any, what: str) -> Any:
    if value is not None and not callable(value):
        raise UsageError(f"{what} is {value!r}; it is a function of the tool's arguments")
    return value


def _cost(value: Any, what: str) -> Any:
    if value is not None and not callable(value):
        micro_usd(value, f"{what} in dollars")
    return value


def _redact(value: Any, what: str) -> tuple[str, ...]:
    if value is None:
        return ()
    parts: list[Any] = [*value] if isinstance(value, list | tuple | set | frozenset) else [None]  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    if not all(isinstance(part, str) for part in parts):
        raise UsageError(f'{what} is {value!r}; it is the names of parameters, like ("card",)')
    return tuple(dict.fromkeys(parts))


def _check_redact(tool: Tool[..., Any]) -> None:
    """Raises UsageError for names that are no parameters: a typing mistake there would record what must not be."""
    from inspect import signature  # for the few tools that redact anything

    try:
        known = list(signature(tool.function).parameters)
    except (TypeError, ValueError):
        raise UsageError(f"tool {tool.name}: redact= needs a function whose parameters can be known") from None
    for name in tool.options.redact:
        if name not in known:
            there = ", ".join(known) or "none"
            raise UsageError(
                f"tool {tool.name}: redact names {name!r}, which is no parameter of it; there are: {there}"
            )


@overload
def tool(function: Callable[P, Awaitable[T]], /) -> Tool[P, T]: ...
@overload
def tool(function: Callable[P, T], /) -> Tool[P, T]: ...
@overload
def tool(
    *,
    name: str | None = None,
    semantics: str | None = None,
    dispatch: str = "inline",
    business_key: Callable[..., str] | None = None,
    authoritative: bool = False,
    settle_delay: float = 0,
    on_unknown: str = "ask",
    retries: int = 0,
    timeout: float | None = None,
    key_lifetime: float | None = None,
    needs_approval: bool = False,
    cost: float | Callable[..., float] | None = None,
    redact: Sequence[str] = (),
) -> _ToolMark: ...
def tool(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Marks a tool. `semantics` is read_only, idempotent or non_idempotent; undeclared is non_idempotent without
    look-up. Raises UsageError for options that do not exist or do not go together."""
    mark = _ToolMark(options)
    return mark if function is None else mark(function)


class _ToolMark:
    """`@tape.tool(...)` waiting for its function."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._given = options

    @overload
    def __call__(self, function: Callable[P, Awaitable[T]], /) -> Tool[P, T]: ...
    @overload
    def __call__(self, function: Callable[P, T], /) -> Tool[P, T]: ...
    def __call__(self, function: Callable[..., Any], /) -> Any:
        check_result_function(function, "a tool")
        given = dict(self._given)
        name = given.pop("name", None)
        if name is None:
            name = getattr(function, "__name__", None)
            if name is None:
                raise UsageError(f"{function!r} has no name of its own: give it one with @tape.tool(name=...)")
        if not isinstance(name, str) or "/" in name or not name.strip() or len(name) > 200:
            raise UsageError(f"a tool cannot be called {name!r}: a name without slashes, please")
        code = getattr(function, "__code__", None)
        first = code.co_varnames[: code.co_argcount][:1] if code is not None else ()
        if first == ("self",) and getattr(function, "__self__", None) is None:
            raise UsageError(f"tool {name} is a method: mark a function of its own, or the method of one object")
        made: Tool[..., Any] = Tool(function, name, _options(name, given))
        return made


def _options(name: str, given: dict[str, Any]) -> ToolOptions:
    semantics = given.pop("semantics", None)
    options = ToolOptions(
        semantics=_one_of(Semantics, "non_idempotent" if semantics is None else semantics, f"tool {name}: semantics"),
        declared=semantics is not None,
        dispatch=_one_of(Dispatch, given.pop("dispatch", "inline"), f"tool {name}: dispatch"),
        business_key=_function_or_none(given.pop("business_key", None), f"tool {name}: business_key"),
        authoritative=_yes_or_no(given.pop("authoritative", False), f"tool {name}: authoritative"),
        settle_delay=_not_negative(given.pop("settle_delay", 0), f"tool {name}: settle_delay"),
        on_unknown=_one_of(OnUnknown, given.pop("on_unknown", "ask"), f"tool {name}: on_unknown"),
        retries=_count(given.pop("retries", 0), f"tool {name}: retries"),
        timeout=_positive(given.pop("timeout", None), f"tool {name}: timeout"),
        key_lifetime=_positive(given.pop("key_lifetime", None), f"tool {name}: key_lifetime"),
        needs_approval=_yes_or_no(given.pop("needs_approval", False), f"tool {name}: needs_approval"),
        cost=_cost(given.pop("cost", None), f"tool {name}: cost"),
        redact=_redact(given.pop("redact", ()), f"tool {name}: redact"),
    )
    if given:
        raise UsageError(f"tool {name} has no option {', '.join(sorted(given))}: see the reference of @tape.tool")
    if options.dispatch is Dispatch.OUTBOX and not options.declared:
        raise UsageError(
            f"tool {name}: dispatch='outbox' needs declared semantics: add semantics='idempotent' if the upstream "
            "honours the key, 'non_idempotent' if not, 'read_only' if it only reads"
        )
    if options.dispatch is Dispatch.OUTBOX and options.redact:
        raise UsageError(
            f"tool {name}: redact and dispatch='outbox' do not go together: the outbox calls from the record, which "
            "does not hold the value; leave out one of them, or pass a tape.secret"
        )
    return options


@dataclass(frozen=True, slots=True)
class ModelLimits:
    """What one ask may cost at most; the reservation under a cap."""

    max_tokens: int | None = None
    max_usd: float | None = None

    def as_json(self) -> dict[str, int | None]:
        """As the wire carries it: tokens, and millionths of a dollar."""
        usd = None if self.max_usd is None else micro_usd(self.max_usd, "max_usd")
        return {"tokens": self.max_tokens, "usd_micro": usd}


def limits_of(function: Callable[..., Any]) -> ModelLimits:
    """What the function's mark says; of a partial the mark of what it calls."""
    marked: Any = function
    while isinstance(marked, partial) and not hasattr(cast(Any, marked), "tape_model"):
        marked = cast(Any, marked).func
    found = getattr(cast(Any, marked), "tape_model", None)
    return found if isinstance(found, ModelLimits) else ModelLimits()


def model(*, max_tokens: int | None = None, max_usd: float | None = None) -> Callable[[F], F]:
    """Marks a model function with what one ask may cost. The function stays as it is. Raises UsageError for what is no
    amount."""
    if max_tokens is not None and (type(max_tokens) is not int or not 0 <= max_tokens < COST_LIMIT):
        raise UsageError(f"max_tokens is {max_tokens!r}; it is a whole number, not negative and below {COST_LIMIT}")
    if max_usd is not None:
        micro_usd(max_usd, "max_usd")

    def mark(function: F) -> F:
        cast(Any, function).tape_model = ModelLimits(max_tokens, max_usd)
        return function

    return mark


class Agent:
    """A marked agent function `(run, input) -> JSON-able or pydantic model`."""

    def __init__(self, function: Callable[..., Awaitable[Any]], name: str, budget: Budget | None) -> None:
        self.function = function
        self.name = name
        self.budget = budget
        self.__name__ = name
        self.__doc__ = function.__doc__
        self.__wrapped__ = function

    def __call__(self, run: Any, input: Any = None) -> Awaitable[Any]:
        return self.function(run, input)

    def __repr__(self) -> str:
        return f"<tape.agent {self.name}>"


@overload
def agent(function: Callable[..., Awaitable[Any]], /) -> Agent: ...
@overload
def agent(
    *, name: str | None = None, budget: Budget | None = None
) -> Callable[[Callable[..., Awaitable[Any]]], Agent]: ...
def agent(
    function: Callable[..., Awaitable[Any]] | None = None, /, *, name: str | None = None, budget: Budget | None = None
) -> Agent | Callable[[Callable[..., Awaitable[Any]]], Agent]:
    """Marks an async function `(run, input)` as an agent. Raises UsageError for a plain `def`."""

    def mark(found: Callable[..., Awaitable[Any]]) -> Agent:
        called = name_of(found) if name is None else name
        if not callable(found) or not is_async(found):
            raise UsageError(f"agent {called} must be an `async def (run, input)`")
        code = getattr(found, "__code__", None)
        if code is not None and getattr(found, "__self__", None) is None:
            needed = code.co_argcount - len(getattr(found, "__defaults__", None) or ())
            if budget is not None and not isinstance(cast(Any, budget), Budget):
                raise UsageError(f"agent {called}: budget is {budget!r}; it is a tape.Budget(usd=, tokens=, calls=)")
            if needed > 2 or (code.co_argcount == 0 and not code.co_flags & 0x04):  # CO_VARARGS
                raise UsageError(f"agent {called} takes `(run, input)`, or `(run)` alone")
        return Agent(found, called, budget)

    return mark if function is None else mark(function)
