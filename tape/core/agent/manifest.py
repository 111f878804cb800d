"""What the project declares, for whoever watches the server: its agents with their inputs, its tools with what they
promise. Told once, after the worker is ready; nothing depends on it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

from tape.core.kernel.errors import UsageError
from tape.core.sdk.decorators import Agent, Tool
from tape.core.sdk.values import schema_of, signature_of

Manifest = dict[str, Any]


def manifest_of(agents: dict[str, Agent], tools: Iterable[Tool[..., Any]]) -> Manifest:
    """`agents`: name, input (a JSON schema; {} if it is not known), file and line. `tools`: name, semantics, dispatch,
    look_up, authoritative, settle_delay (seconds), on_unknown, compensable, file and line."""
    return {
        "agents": [
            {"name": name, "input": _input(agent), **_place(agent.function)} for name, agent in sorted(agents.items())
        ],
        "tools": [_tool(tool) for tool in sorted(tools, key=lambda tool: tool.name)],
    }


def _tool(tool: Tool[..., Any]) -> Manifest:
    options = tool.options
    return {
        "name": tool.name,
        "semantics": str(options.semantics),
        "dispatch": str(options.dispatch),
        "look_up": tool.look_up is not None,
        "authoritative": options.authoritative,
        "settle_delay": options.settle_delay,
        "on_unknown": str(options.on_unknown),
        "compensable": tool.undo is not None,
        **_place(tool.function),
    }


def _input(agent: Agent) -> Manifest:
    """The schema of what the agent gets beside its run."""
    try:
        signature = signature_of(agent.function)
        names = signature.parameters()
        return {} if len(names) < 2 else schema_of(signature.annotation(names[1]))
    except (UsageError, TypeError):  # an annotation that means nothing, a function that cannot be looked at
        return {}


def _place(function: Callable[..., Any]) -> Manifest:
    """Where the author wrote it; None where that cannot be known."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None:
        return {"file": None, "line": None}
    return {"file": str(code.co_filename), "line": int(code.co_firstlineno)}
