"""Loads the project's agents: its folder first on sys.path, and nothing of the same name from elsewhere."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path

from tape.core.kernel.errors import UsageError
from tape.core.kernel.resolution import OnUnknown
from tape.core.sdk.decorators import TOOLS, Agent


def load_agents(root: Path, targets: Mapping[str, str]) -> dict[str, Agent]:
    """`targets`: name -> `module:function`. Raises UsageError in one line for what cannot be loaded."""
    sys.path[:] = [str(root), *(entry for entry in sys.path if entry != str(root))]
    agents: dict[str, Agent] = {}
    for name, target in targets.items():
        module_name, _, function = target.partition(":")
        module = _import(root, module_name)
        found = getattr(module, function, None)
        if not isinstance(found, Agent):
            known = sorted(key for key, value in vars(module).items() if isinstance(value, Agent))
            raise UsageError(
                f"tape.yaml: {target}: {module_name} has no agent {function!r}; "
                + (f"it has: {', '.join(known)}" if known else "mark a function with @tape.agent")
            )
        agents[name] = found
    _check_homes(root)
    _check_tools()
    for agent in agents.values():
        _check_budget(agent)
    return agents


def _import(root: Path, name: str) -> object:
    try:
        return importlib.import_module(name)
    except UsageError:
        raise
    except Exception as error:  # whatever an author's module raises while it is loaded
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if str(root) in frame.filename]
        if isinstance(error, SyntaxError):
            where = f"{error.filename}:{error.lineno}"
        else:
            where = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else name
        where = where.removeprefix(f"{root}{os.sep}")
        text = " ".join(str(error).split())
        if isinstance(error, ModuleNotFoundError) and f"{name}.".startswith(f"{error.name}."):
            _check_homes(root)  # a namesake from elsewhere would explain it
            raise UsageError(f"tape.yaml: the module {name} cannot be loaded: {text}; looked in {root} first") from None
        raise UsageError(f"{where}: {name} cannot be loaded: {type(error).__name__}: {text}") from None


def _check_homes(root: Path) -> None:
    """A module of the project's that was loaded from another folder is refused, with both paths."""
    home = root.resolve()
    tops: dict[str, Path | None] = {}
    for name, module in list(sys.modules.items()):
        top = name.partition(".")[0]
        if top not in tops:
            tops[top] = _own_place(root, top)
        mine, file = tops[top], getattr(module, "__file__", None)
        if mine is not None and file is not None and not Path(file).resolve().is_relative_to(home):
            raise UsageError(
                f"the project has {mine}, but {name} was loaded from {file}: two things share one name; "
                "rename one of them"
            )


def _own_place(root: Path, top: str) -> Path | None:
    """The project's own folder or file of this name, if it has one."""
    folder = root / top
    if folder.is_dir():
        return folder
    file = folder.with_name(f"{top}.py")
    return file if file.is_file() else None


def _check_tools() -> None:
    """What a decorator cannot see yet: whether the tool that is to be undone has an undo."""
    for tool in TOOLS.values():
        if tool.options.on_unknown is OnUnknown.COMPENSATE and tool.undo is None:
            raise UsageError(f"tool {tool.name}: on_unknown='compensate' needs a compensation: @{tool.name}.compensate")


def _check_budget(agent: Agent) -> None:
    """A cap on calls of a tool that does not exist would never be in the way of anything."""
    for tool in agent.budget.calls if agent.budget is not None else ():
        if tool not in TOOLS:
            known = ", ".join(sorted(TOOLS)) or "none"
            raise UsageError(
                f"agent {agent.name}: its budget caps calls of {tool!r}, and no tool is called so: {known}"
            )
