"""tape.yaml -> `Config`. The one place that knows its keys and defaults.

Durations are whole microseconds, money is whole millionths of a dollar. `parse_config` is pure; only `load_config`
looks at files and the environment.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from tape.core.kernel.errors import UsageError
from tape.core.kernel.policy import AskPolicy, Backoff, LeasePolicy, RecoveryPolicy
from tape.core.retention import KINDS, Retention, parse_age
from tape.core.strict_yaml import (
    MAX_BYTES,
    Json,
    Node,
    Place,
    Scalar,
    Table,
    decimal,
    duration_us,
    integer,
    items,
    plain,
    quoted,
    read_yaml,
    suggest,
    table,
    text,
)

__all__ = ["AgentTarget", "BudgetCaps", "Config", "load_config", "parse_config", "suggest"]

FILE_NAME = "tape.yaml"
JOURNAL_VARIABLE = "TAPE_JOURNAL"
TELEMETRY_VARIABLE = "TAPE_OTEL"
OTEL = "otel"
DEFAULT_JOURNAL = "sqlite:///.tape/dev.db"

_KEYS = (
    "name", "agent", "agents", "journal", "workers", "concurrency",
    "lease", "recovery", "budget", "upstream", "reload", "telemetry", "retention",
)  # fmt: skip
_PROJECT_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_AGENT_NAME = r"[A-Za-z_][A-Za-z0-9_.-]{0,63}"
_UPSTREAM_NAME = r"[a-z][a-z0-9_]{0,31}"
_TARGET = r"([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*):([A-Za-z_][A-Za-z0-9_]*)"


@dataclass(frozen=True, slots=True)
class AgentTarget:
    """Where an agent function is found: `module:function`."""

    module: str
    function: str

    def __str__(self) -> str:
        return f"{self.module}:{self.function}"


@dataclass(frozen=True, slots=True)
class BudgetCaps:
    """What one run may spend unless its agent says otherwise; None is no cap."""

    usd_micros: int | None = None
    tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """A checked tape.yaml.

    `agents` is never empty and keeps the file's order. `journal` is the absolute path of the SQLite file. `upstream`
    holds per name what the stand-in is told; the stand-in checks it. `reload` names folders (or modules in one file)
    below `root` by their first component, without `.py`. `telemetry` is "otel", or empty for none. `retention`: what
    `tape gc` keeps for how long.
    """

    root: Path
    source: Path
    name: str
    agents: Mapping[str, AgentTarget]
    journal: Path
    workers: int
    concurrency: int
    lease: LeasePolicy
    recovery: RecoveryPolicy
    budget: BudgetCaps
    upstream: Mapping[str, Mapping[str, Json]]
    reload: tuple[str, ...]
    telemetry: str = ""
    retention: Retention = field(default_factory=lambda: {})


def load_config(start: Path, environ: Mapping[str, str]) -> Config:
    """The configuration of the project that `start` lies in: tape.yaml there or in the nearest folder above.

    Raises UsageError, one line that says what to do.
    """
    try:
        folder = start.resolve()
        places = (place / FILE_NAME for place in (folder, *folder.parents))
        found = next((place for place in places if os.path.lexists(place)), None)
    except (OSError, ValueError) as error:
        raise UsageError(f"{quoted(str(start))} cannot be searched for {FILE_NAME} ({error}); change folder") from None
    if found is None:
        where = quoted(str(folder), 200)
        raise UsageError(f"no {FILE_NAME} in {where} or above; go to a project, or make one with: tape init NAME")
    shown = FILE_NAME if found.parent == folder else str(found)
    shown = shown if shown.isprintable() else quoted(shown, 200)
    config = parse_config(_read(found, shown), found, shown, environ.get(JOURNAL_VARIABLE) or None)
    return replace(config, telemetry=OTEL) if environ.get(TELEMETRY_VARIABLE) == "1" else config


def parse_config(data: bytes, source: Path, shown: str, journal: str | None = None) -> Config:
    """`data` is the content of `source`, `shown` its name in errors; `journal` overrides the file's own.

    Raises UsageError: `FILE:LINE: what; what to do`.
    """
    root = source.parent
    file = read_yaml(data, shown)
    file.allow(_KEYS)
    name, agents = _name(file), _agents(file)
    return Config(
        root=root,
        source=source,
        name=name,
        agents=agents,
        journal=_journal(file, root, journal),
        workers=_count(file, "workers", 1, 64),
        concurrency=_count(file, "concurrency", 1, 10_000),
        lease=_lease(file),
        recovery=_recovery(file),
        budget=_budget(file),
        upstream=_upstream(file),
        reload=_reload(file, agents.values()),
        telemetry=_telemetry(file),
        retention=_retention(file),
    )


def _read(path: Path, shown: str) -> bytes:
    place = Place(shown, 1)
    try:
        if not path.is_file():  # a pipe or device of that name would block or never end
            raise place.error("not a regular file", "put a file in its place, or make a project with: tape init NAME")
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise place.error(f"cannot be read ({error.strerror})", "check its permissions") from None


def _name(file: Table) -> str:
    node = file.get("name")
    if node is None:
        raise file.keys.get("name", file.place).error("'name' is missing", "add a line such as 'name: treasury'")
    return _matching(node, "'name'", _PROJECT_NAME, "use letters, digits, '.', '_' and '-', at most 64")


def _matching(node: Node, what: str, pattern: str, remedy: str) -> str:
    word = text(node, what)
    if not re.fullmatch(pattern, word):
        raise node.place.error(f"{what} cannot be {quoted(word)}", remedy)
    return word


def _agents(file: Table) -> dict[str, AgentTarget]:
    one, many = file.get("agent"), file.get("agents")
    if one is not None and many is not None:
        raise file.keys["agents"].error("both 'agent' and 'agents' are set", "keep one of them")
    if one is not None:
        target = _target(one, "'agent'")
        return {target.function: target}
    if many is None:
        raise file.place.error("no agent is named", "add a line such as 'agent: app.agent:treasury'")
    named = table(many, "'agents'")
    targets: dict[str, AgentTarget] = {}
    for name, node in named:
        if not re.fullmatch(_AGENT_NAME, name):
            raise named.keys[name].error(
                f"an agent cannot be called {quoted(name)}", "use letters, digits, '_', '.', '-'"
            )
        targets[name] = _target(node, f"agent {name!r}")
    if not targets:
        raise many.place.error("'agents' is empty", "add a line such as 'treasury: app.agent:treasury'")
    return targets


def _target(node: Node, what: str) -> AgentTarget:
    word = text(node, what)
    if found := re.fullmatch(_TARGET, word):
        return AgentTarget(found[1], found[2])
    module, _, function = word.partition(":")
    module = module.removesuffix(".py").replace("/", ".")
    guess = f"{module}:{function}" if function else ":".join(module.rsplit(".", 1))
    hint = f"did you mean {guess!r}? " if re.fullmatch(_TARGET, guess) else ""
    raise node.place.error(
        f"{what} cannot be {quoted(word)}", f"{hint}write module:function, such as app.agent:treasury"
    )


def _journal(file: Table, root: Path, override: str | None) -> Path:
    if override is not None:
        return _journal_path(override, root, lambda what, remedy: UsageError(f"{JOURNAL_VARIABLE}: {what}; {remedy}"))
    node = file.get("journal")
    if node is None:
        return _journal_path(DEFAULT_JOURNAL, root, file.place.error)
    return _journal_path(text(node, "'journal'"), root, node.place.error)


def _journal_path(value: str, root: Path, error: Callable[[str, str], UsageError]) -> Path:
    scheme, separator, rest = value.partition("://")
    if separator and scheme.split("+")[0] in ("postgresql", "postgres"):
        raise error("this release keeps journals in SQLite only", "write sqlite:///.tape/dev.db")
    if not separator or scheme != "sqlite" or not rest.startswith("/"):
        near = "" if separator else f"did you mean {quoted('sqlite:///' + value, 80)}? "
        hidden = scheme + "://..." if "@" in value else value  # addresses of other databases may hold a password
        what = f"{quoted(hidden)} is not a journal's address"
        raise error(what, f"{near}write sqlite:///FILE (relative to {FILE_NAME}) or sqlite:////FILE (absolute)")
    name = rest[1:]
    if name.startswith(":memory:") or not name:
        raise error("a journal in memory would die with the process", "name a file: sqlite:///.tape/dev.db")
    if name.endswith("/") or not name.isprintable() or any(sign in name for sign in "?#%") or name.startswith("~"):
        raise error(
            f"the file name in {quoted(value)} cannot be used", "write it without '~', '?', '#', '%' and final '/'"
        )
    path = Path(os.path.normpath(root / name))
    if path.is_dir():
        raise error(f"{quoted(value)} is a folder", f"name a file in it: {value}/dev.db")
    return path


def _count(file: Table, key: str, default: int, high: int) -> int:
    node = file.get(key)
    return default if node is None else integer(node, f"'{key}'", 1, high)


def _section(file: Table, key: str, known: tuple[str, ...]) -> Table:
    node = file.get(key)
    section = Table(file.place, {}, {}) if node is None else table(node, f"'{key}'")
    section.allow(known, f" in '{key}'")
    return section


def _lease(file: Table) -> LeasePolicy:
    section = _section(file, "lease", ("ttl", "heartbeat", "stall"))
    default = LeasePolicy()

    def read(key: str, otherwise: int) -> int:
        node = section.get(key)
        return otherwise if node is None else duration_us(node, f"'{key}'")

    lease = LeasePolicy(
        read("ttl", default.ttl_us), read("heartbeat", default.heartbeat_us), read("stall", default.stall_us)
    )
    if lease.heartbeat_us >= lease.ttl_us:
        place = section.keys.get("heartbeat", section.keys.get("ttl", section.place))
        raise place.error("'heartbeat' must be shorter than 'ttl'", "a third of it is usual: {ttl: 15s, heartbeat: 5s}")
    return lease


def _recovery(file: Table) -> RecoveryPolicy:
    section = _section(file, "recovery", ("max_crashes", "backoff", "asks", "ask_backoff"))
    default = RecoveryPolicy()
    asks = AskPolicy(
        backoff=_backoff(section, "ask_backoff", default.asks.backoff),
        max_asks=_count(section, "asks", default.asks.max_asks, 1000),
        timeout_us=default.asks.timeout_us,
    )
    crashes = _count(section, "max_crashes", default.max_crashes, 1000)
    return RecoveryPolicy(crashes, _backoff(section, "backoff", default.backoff), asks)


def _backoff(section: Table, key: str, default: Backoff) -> Backoff:
    node = section.get(key)
    if node is None:
        return default
    first, separator, cap = text(node, f"'{key}'").partition("..")
    if not separator:
        raise node.place.error(f"'{key}' must be two durations", "write the first and the longest: 1s..60s")
    backoff = Backoff(
        duration_us(Scalar(node.place, first.strip(), plain=True), f"the first '{key}'"),
        duration_us(Scalar(node.place, cap.strip(), plain=True), f"the longest '{key}'"),
    )
    if backoff.first_us > backoff.cap_us:
        raise node.place.error(f"'{key}' starts above its end", "write the shorter one first: 1s..60s")
    return backoff


def _budget(file: Table) -> BudgetCaps:
    section = _section(file, "budget", ("usd", "tokens"))
    usd, tokens = section.get("usd"), section.get("tokens")
    return BudgetCaps(
        usd_micros=None if usd is None else _usd_micros(usd),
        tokens=None if tokens is None else integer(tokens, "'tokens'", 1, 10**15),
    )


def _usd_micros(node: Node) -> int:
    micros = decimal(node, "'usd'") * 1_000_000
    if not 1 <= micros <= 10**15 or micros != int(micros):
        raise node.place.error("'usd' must be over 0, in steps of 0.000001, at most a billion", "write 1.00")
    return int(micros)


def _retention(file: Table) -> dict[str, int]:
    section = _section(file, "retention", KINDS)
    kept: dict[str, int] = {}
    for kind, node in section:
        word = text(node, f"'{kind}'")
        kept_us = parse_age(word)
        if kept_us is None:
            raise node.place.error(f"'{kind}' cannot be {quoted(word)}", "write an age: 30d, 12h, 90m or 30s")
        kept[kind] = kept_us
    return kept


def _upstream(file: Table) -> dict[str, dict[str, Json]]:
    section = file.get("upstream")
    if section is None:
        return {}
    named = table(section, "'upstream'")
    upstreams: dict[str, dict[str, Json]] = {}
    for name, node in named:
        if not re.fullmatch(_UPSTREAM_NAME, name):
            what = f"an upstream cannot be called {quoted(name)}"
            raise named.keys[name].error(what, "use small letters, digits and '_'; it becomes TAPE_UPSTREAM_NAME")
        upstreams[name] = {} if named.get(name) is None else {key: plain(value) for key, value in table(node, name)}
    return upstreams


def _reload(file: Table, targets: Iterable[AgentTarget]) -> tuple[str, ...]:
    node = file.get("reload")
    if node is None:
        return tuple(dict.fromkeys(target.module.partition(".")[0] for target in targets))
    return tuple(dict.fromkeys(_folder(item) for item in items(node, "'reload'")))


def _telemetry(file: Table) -> str:
    node = file.get("telemetry")
    word = OTEL if node is None else text(node, "'telemetry'")
    if word != OTEL:
        assert node is not None
        raise node.place.error(f"'telemetry' cannot be {quoted(word)}", "write 'telemetry: otel', or leave it out")
    return "" if node is None else word


def _folder(node: Node) -> str:
    word = text(node, "a folder of 'reload'")
    path = PurePosixPath(word)
    if path.is_absolute() or ".." in path.parts or "\\" in word or not word.isprintable() or not path.parts:
        raise node.place.error(f"{quoted(word)} cannot be watched", f"name a folder beside {FILE_NAME}, such as app")
    return str(path)
