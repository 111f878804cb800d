"""Scenario files: YAML text -> `Scenario`, and back. All mistakes of a file are told at once, one line each, in the
order of its lines: `FILE:LINE: where: what; what to do`.

Checked here is what the file alone can tell; `check` holds it against the project's tape.yaml.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from tape.core.config import FILE_NAME, Config
from tape.core.kernel.errors import UsageError
from tape.core.strict_yaml import (
    MAX_BYTES,
    Items,
    Json,
    Node,
    Place,
    Scalar,
    Table,
    is_null,
    quoted,
    read_yaml,
    suggest,
)
from tape.lab.scenario import Loc, Scenario
from tape.lab.scenario_mistakes import places, report, told, way
from tape.lab.upstream_options import parse_options

__all__ = ["check", "find_scenarios", "parse_scenario", "read_scenario", "write_scenario"]

_INTEGER = r"[+-]?(?:0|[1-9][0-9]{0,18}|[1-9][0-9]{0,2}(?:_[0-9]{3}){1,6})"
_DECIMAL = r"[+-]?(?:0|[1-9][0-9]{0,308})(?:\.[0-9]{1,340})?(?:[eE][+-]?[0-9]{1,3})?"
_DATE = r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt ].*)?"
_CONSTANT = r"True|TRUE|False|FALSE|Null|NULL|NaN|[-+]?Infinity|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
_NUMBER = r"[-+]?(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?|0[xob][0-9a-fA-F_]+"


# --- reading ------------------------------------------------------------------------------------------------------


def read_scenario(path: Path) -> Scenario:
    """The scenario in a file. Raises UsageError."""
    shown = str(path) if str(path).isprintable() else quoted(str(path), 200)
    place = Place(shown, 1)
    try:
        if not path.is_file():  # a pipe or a device would block, or never end
            what = "not a regular file" if path.exists() else "no such file"
            raise place.error(what, "name a scenario file, or a folder that holds some")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise place.error(f"cannot be read ({why})", "check its name and permissions") from None
    return parse_scenario(data, shown, path)


def parse_scenario(data: bytes, shown: str, source: Path | None) -> Scenario:
    """`data` is the content of `source`, `shown` its name in messages. Raises UsageError, a line for each mistake."""
    from pydantic import ValidationError

    from tape.lab.scenario_model import ScenarioShape

    root = read_yaml(data, shown)
    if not root.keys:
        raise root.place.error("the file is empty", "write a scenario: name, kill and expect")
    known: dict[Loc, Place] = {(): root.place, **dict(places(root, ()))}
    problems = list(_doubtful_values(root))
    scenario = None
    try:
        scenario = ScenarioShape.model_validate(_value(root)).value()
    except ValidationError as error:
        doubted = {loc[:length] for loc, _ in problems for length in range(1, len(loc) + 1)}
        found = (mistake for details in error.errors() for mistake in told(details, known))
        problems += [mistake for mistake in found if mistake[0] not in doubted]
    if scenario is None or problems:
        raise UsageError("\n".join(report(known, problems)))
    lines = {loc: place.line for loc, place in known.items()}
    return replace(scenario, shown=shown, source=source, lines=lines)


def _value(node: Node) -> Json:
    """The node as a plain value. Numbers are those of JSON: a result is compared to the last digit."""
    if isinstance(node, Table):
        return {key: _value(inner) for key, inner in node}
    if isinstance(node, Items):
        return [_value(inner) for inner in node.nodes]
    if is_null(node):
        return None
    if not node.plain or node.text in ("true", "false"):
        return node.text == "true" if node.plain else node.text
    if re.fullmatch(_INTEGER, node.text):
        return int(node.text)
    if re.fullmatch(_DECIMAL, node.text) and abs(float(node.text)) != float("inf"):
        return float(node.text)
    return node.text


# --- values that other readers of YAML take for something else ------------------------------------------------------


def _doubtful_values(root: Table) -> Iterator[tuple[Loc, str]]:
    """Unquoted values that are passed on as they stand, but are no JSON: dates, NaN, numbers that JSON cannot hold."""
    for loc, node in _json_nodes(root):
        for inner_loc, scalar in _scalars(node, loc):
            text = scalar.text
            if scalar.plain and re.fullmatch(_DATE, text, re.DOTALL):
                yield inner_loc, f"{quoted(text)} is a date to YAML, and JSON has none; put it in quotes"
            elif scalar.plain and re.fullmatch(_CONSTANT, text):
                yield inner_loc, f"{quoted(text)} is no value of JSON; write true, false or null, or put it in quotes"
            elif scalar.plain and re.fullmatch(_NUMBER, text):
                value = _value(scalar)
                if isinstance(value, str) or (isinstance(value, int) and not -(1 << 63) <= value < 1 << 63):
                    yield inner_loc, f"{quoted(text)} is no number that JSON can hold; put it in quotes"


def _json_nodes(root: Table) -> Iterator[tuple[Loc, Node]]:
    """The values that go to the agent, or are compared with what it gives, as they stand."""
    if "input" in root.nodes:
        yield ("input",), root.nodes["input"]
    expect, orders = root.nodes.get("expect"), root.nodes.get("orders")
    if isinstance(expect, Table) and "result" in expect.nodes:
        yield ("expect", "result"), expect.nodes["result"]
    forks = expect.nodes.get("forks") if isinstance(expect, Table) else None
    for name, fork in forks if isinstance(forks, Table) else ():
        if isinstance(fork, Table) and "result" in fork.nodes:
            yield ("expect", "forks", name, "result"), fork.nodes["result"]
    for index, order in enumerate(orders.nodes if isinstance(orders, Items) else ()):
        for key in ("result", "input"):
            if isinstance(order, Table) and key in order.nodes:
                yield ("orders", index, key), order.nodes[key]


def _scalars(node: Node, loc: Loc) -> Iterator[tuple[Loc, Scalar]]:
    if isinstance(node, Scalar):
        yield loc, node
    elif isinstance(node, Table):
        for key, inner in node:
            yield from _scalars(inner, (*loc, key))
    else:
        for index, inner in enumerate(node.nodes):
            yield from _scalars(inner, (*loc, index))


# --- against the project --------------------------------------------------------------------------------------------


def check(scenario: Scenario, config: Config) -> None:
    """Holds a scenario against the project's tape.yaml: its agent, stand-ins and lease. Raises UsageError, a line for
    each mistake."""
    problems = [*_agent_problems(scenario, config), *_stand_in_problems(scenario, config)]
    lease = scenario.settings.lease(config.lease)
    if lease.heartbeat_us >= lease.ttl_us:
        what = "must be shorter than the ttl of tape.yaml; write a ttl beside it"
        problems.append((("settings", "lease", "heartbeat"), what))
    if problems:
        raise UsageError("\n".join(f"{scenario.place(*loc)}: {way(loc)}{text}" for loc, text in problems))


def _agent_problems(scenario: Scenario, config: Config) -> Iterator[tuple[Loc, str]]:
    names = tuple(config.agents)
    if scenario.agent is None and len(names) > 1:
        yield ("agent",), f"this project has several, say which; add a line such as 'agent: {names[0]}'"
    elif scenario.agent is not None and scenario.agent not in names:
        near = suggest(scenario.agent, names)
        hint = f"did you mean {near}?" if near else f"it has: {', '.join(names)}"
        yield ("agent",), f"tape.yaml has no agent {quoted(scenario.agent)}; {hint}"


def _stand_in_problems(scenario: Scenario, config: Config) -> Iterator[tuple[Loc, str]]:
    merged = scenario.over(config).upstream
    for name in scenario.upstream:
        try:
            parse_options(cast("Mapping[str, Any]", merged[name]), "")
        except UsageError as error:
            yield ("upstream", name), f"with tape.yaml's options: {str(error).removeprefix(': ')}"
    for field, counts in (("upstream", scenario.expect.upstream), ("keyed", scenario.expect.keyed)):
        for collection in counts:
            name = collection.partition(".")[0]
            if name not in merged:
                near = suggest(name, merged)
                known = ", ".join(merged) or "none"
                hint = (
                    f"did you mean {near}?" if near else f"there are: {known}; name one of them, or add it to upstream"
                )
                yield ("expect", field, collection), f"no stand-in is called {quoted(name)}; {hint}"


# --- finding and writing --------------------------------------------------------------------------------------------


def find_scenarios(paths: Sequence[Path]) -> list[Path]:
    """The scenario files that are meant: files as they are, of a folder every *.yaml in it and below, but no tape.yaml
    and nothing hidden. Each once, the content of a folder sorted. Raises UsageError."""
    found: dict[Path, None] = {}
    for path in paths:
        shown = quoted(str(path), 200)
        try:
            files = _below(path) if path.is_dir() else [path] if path.exists() else None
        except (OSError, ValueError) as error:
            raise UsageError(f"{shown} cannot be searched for scenarios ({error}); name another folder") from None
        if files is None:
            raise UsageError(f"{shown}: no such file or folder; name scenario files, or folders that hold some")
        if not files:
            raise UsageError(f"{shown}: no scenario here: a scenario is a file NAME.yaml; name another folder")
        found.update(dict.fromkeys(files))
    if not found:
        raise UsageError("no scenario is named; name scenario files, or folders that hold some")
    return list(found)


def _below(folder: Path) -> list[Path]:
    files = (file for file in folder.rglob("*.yaml") if file.is_file() and file.name != FILE_NAME)
    return sorted(file for file in files if not any(part.startswith(".") for part in file.relative_to(folder).parts))


def write_scenario(scenario: Scenario) -> str:
    """The scenario as a file; reading it gives an equal one. Raises UsageError for one that no file can hold (nested
    too deeply, too large)."""
    from tape.lab.scenario_text import scenario_text

    text = scenario_text(scenario)
    try:
        again = parse_scenario(text.encode(), "the file", None)
    except (UsageError, ValueError) as error:
        first = str(error).splitlines()[0]
        raise UsageError(f"the scenario {quoted(scenario.name)} cannot be written: {first}") from None
    if again != scenario:
        raise UsageError(
            f"the scenario {quoted(scenario.name)} cannot be written: it holds what JSON cannot; use lists"
        )
    return text
