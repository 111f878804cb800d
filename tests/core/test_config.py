"""tape.yaml: what it means, and that every mistake is one line with file, line and remedy."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tape.core.config import AgentTarget, BudgetCaps, Config, load_config, parse_config, suggest
from tape.core.kernel.errors import UsageError
from tape.core.kernel.policy import AskPolicy, Backoff, LeasePolicy, RecoveryPolicy
from tape.core.strict_yaml import MAX_BYTES

SECOND = 1_000_000
MINIMAL = "name: treasury\nagent: app.agent:treasury\n"
FULL = """\
# a comment
name: treasury
agents: {treasury: app.agent:treasury, clerk: app.clerk:Clerk}
journal: sqlite:///var/tape.db
workers: 2
concurrency: 8
lease: {ttl: 1m, heartbeat: 200ms, stall: 1h}
recovery: {max_crashes: 7, backoff: 500ms..2m}
budget: {usd: 1.25, tokens: 50_000}
upstream:
  bank: {honours_key: false, latency: 20ms, faults: [{slow: 0.5, nth: 3, note: ~, "deep": "7"}]}
  mail:
reload: [app, src/tools/, app]
"""


def parse(text: str | bytes, journal: str | None = None) -> Config:
    data = text.encode() if isinstance(text, str) else text
    return parse_config(data, Path("/project/tape.yaml"), "tape.yaml", journal)


def refusal(text: str | bytes) -> str:
    with pytest.raises(UsageError) as caught:
        parse(text)
    line = str(caught.value)
    assert len(line.splitlines()) == 1 and line.isprintable()
    return line


# ------------------------------------------------------------------------------------------------ what it means


def test_a_minimal_file_gets_the_documented_defaults() -> None:
    assert parse(MINIMAL) == Config(
        root=Path("/project"),
        source=Path("/project/tape.yaml"),
        name="treasury",
        agents={"treasury": AgentTarget("app.agent", "treasury")},
        journal=Path("/project/.tape/dev.db"),
        workers=1,
        concurrency=1,
        lease=LeasePolicy(ttl_us=15 * SECOND, heartbeat_us=5 * SECOND, stall_us=60 * SECOND),
        recovery=RecoveryPolicy(max_crashes=5, backoff=Backoff(first_us=SECOND, cap_us=60 * SECOND)),
        budget=BudgetCaps(usd_micros=None, tokens=None),
        upstream={},
        reload=("app",),
    )


def test_for_how_long_runs_are_kept() -> None:
    assert parse(MINIMAL).retention == {}
    written = "retention:\n  terminal: 30d\n  failed: 12h\n  cancelled: 0s\n"
    kept = {"terminal": 30 * 86_400 * SECOND, "failed": 12 * 3_600 * SECOND, "cancelled": 0}
    assert parse(MINIMAL + written).retention == kept


def test_how_look_ups_are_asked_again() -> None:
    config = parse(MINIMAL + "recovery: {asks: 2, ask_backoff: 5ms..50ms}\n")
    assert config.recovery.asks == AskPolicy(Backoff(5_000, 50_000), max_asks=2)
    assert config.recovery.backoff == RecoveryPolicy().backoff


@pytest.mark.parametrize("wrong", ["ask_backoff: 5ms", "ask_backoff: 2s..1s", "asks: 0"])
def test_wrong_ways_to_ask_again(wrong: str) -> None:
    with pytest.raises(UsageError, match=f"'{wrong.partition(':')[0]}'"):
        parse(MINIMAL + f"recovery: {{{wrong}}}\n")


def test_every_key_can_be_set() -> None:
    config = parse(FULL)
    assert list(config.agents) == ["treasury", "clerk"]
    assert str(config.agents["clerk"]) == "app.clerk:Clerk"
    assert config.journal == Path("/project/var/tape.db")
    assert (config.workers, config.concurrency) == (2, 8)
    assert config.lease == LeasePolicy(60 * SECOND, SECOND // 5, 3600 * SECOND)
    assert config.recovery == RecoveryPolicy(7, Backoff(SECOND // 2, 120 * SECOND))
    assert config.budget == BudgetCaps(usd_micros=1_250_000, tokens=50_000)
    assert config.upstream == {
        "bank": {
            "honours_key": False,
            "latency": "20ms",
            "faults": [{"slow": 0.5, "nth": 3, "note": None, "deep": "7"}],
        },
        "mail": {},
    }
    assert config.reload == ("app", "src/tools")


def test_a_config_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        parse(MINIMAL).workers = 2  # type: ignore[misc]


@pytest.mark.parametrize(
    "same", [MINIMAL.replace("\n", "\r\n"), "\ufeff" + MINIMAL, "---\n" + MINIMAL + "...\n", MINIMAL.rstrip()]
)
def test_editors_of_all_kinds_are_welcome(same: str) -> None:
    assert parse(same) == parse(MINIMAL)


def test_a_key_left_empty_means_its_default() -> None:
    keys = ("journal", "workers", "lease", "recovery", "budget", "upstream", "reload", "retention")
    empty = "".join(f"{key}:\n" for key in keys)
    assert parse(MINIMAL + empty) == parse(MINIMAL)
    assert parse(MINIMAL + "lease: {ttl: 30s, heartbeat: ~}").lease.heartbeat_us == 5 * SECOND


@pytest.mark.parametrize(
    ("written", "microseconds"),
    [
        ("15s", 15 * SECOND),
        ("200ms", SECOND // 5),
        ("1m", 60 * SECOND),
        ("1h", 3600 * SECOND),
        ("1d", 86_400 * SECOND),
        ("500us", 500),
        ("1.5s", 1_500_000),
        ("90", 90 * SECOND),
        ("0.25", SECOND // 4),
        ("'15s'", 15 * SECOND),
    ],
)
def test_durations(written: str, microseconds: int) -> None:
    assert parse(MINIMAL + f"lease: {{stall: {written}}}").lease.stall_us == microseconds


def test_words_that_yaml_would_turn_into_something_else_stay_words() -> None:
    upstream = parse(MINIMAL + "upstream: {bank: {a: no, b: 1:30, c: 0x10, d: 2024-01-01, e: 007, f: .inf}}").upstream
    assert upstream["bank"] == {"a": "no", "b": "1:30", "c": "0x10", "d": "2024-01-01", "e": "007", "f": ".inf"}


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("sqlite:///.tape/dev.db", "/project/.tape/dev.db"),
        ("sqlite:////var/lib/tape.db", "/var/lib/tape.db"),
        ("sqlite:///../shared/a b.db", "/shared/a b.db"),
    ],
)
def test_journal_addresses(address: str, path: str) -> None:
    assert parse(MINIMAL + f"journal: {address}").journal == Path(path)
    assert parse(MINIMAL, journal=address).journal == Path(path)


def test_the_environment_overrides_the_journal_and_is_named_when_wrong() -> None:
    assert parse(MINIMAL + "journal: sqlite:///a.db", journal="sqlite:///b.db").journal == Path("/project/b.db")
    with pytest.raises(UsageError, match=r"^TAPE_JOURNAL: 'b\.db' is not .*did you mean 'sqlite:///b\.db'\?"):
        parse(MINIMAL, journal="b.db")


def test_suggest() -> None:
    assert suggest("Heart-beat", ("ttl", "heartbeat", "stall")) == "heartbeat"
    assert suggest("zebra", ("ttl", "heartbeat", "stall")) == ""
    assert suggest("", ()) == ""
    assert suggest("w" * 1_000_000, ("workers",)) == ""


# ------------------------------------------------------------------------------------------------ what is refused

# (line, text that must stand in the message, what is written below the two lines of MINIMAL)
MISTAKES = [
    (3, "did you mean 'lease'? keys here: name,", "lese: {ttl: 5s}"),
    (3, "unknown key '<<'", "<<: {workers: 2}"),
    (3, "unknown key 'зарплата'", "зарплата: 1"),
    (4, "in 'lease'; did you mean 'heartbeat'?", "lease:\n  heartbeet: 5s"),
    (3, "in 'recovery'; did you mean 'max_crashes'?", "recovery: {max_crash: 5}"),
    (3, "in 'budget'", "budget: {euro: 5}"),
    (3, "twice (first in line 1)", "name: other"),
    (5, "'ttl' stands here twice (first in line 4)", "lease:\n  ttl: 5s\n  ttl: 6s"),
    (3, "anchor &a is not allowed", "workers: &a 2"),
    (3, "alias *a is not allowed", "workers: *a"),
    (3, "tag 'tag:yaml.org,2002:python/object/apply:os.system' is not", "name2: !!python/object/apply:os.system [id]"),
    (3, "tag '!x' is not allowed", "lease: !x {ttl: 1s}"),
    (3, "a second document", "---\nname: x"),
    (3, "a key must be a plain word", "? [a, b]\n: 1"),
    (3, "a key must be a plain word", "{a: 1}: 2"),
    (4, "a tab is used", "lease:\n\tttl: 5s"),
    (3, "not valid YAML", "lease: {ttl: 5s"),
    (3, "not valid YAML", "name2: 'never closed"),
    (3, "not valid YAML", "just words"),
    (3, "not valid YAML", "- a"),
    (3, "not valid YAML", "a: b: c"),
    (3, "not valid YAML", "%YAML 9.9"),
    (3, "nested deeper than 16 levels", "upstream: {bank: " + "[" * 40 + "]" * 40 + "}"),
    (3, "nested deeper than 16 levels", "upstream: {bank: " + "[" * 100_000),
    (3, "nested deeper than 16 levels", "upstream: " + "{a: " * 40_000),
    (3, "'workers' must be from 1 to 64, not 0", "workers: 0"),
    (3, "not -1", "workers: -1"),
    (3, "a whole number, not '2'", "workers: '2'"),
    (3, "a whole number, not '1.5'", "workers: 1.5"),
    (3, "a whole number, not 'two'", "workers: two"),
    (3, "a whole number, not 'true'", "workers: true"),
    (3, "a whole number, not '0x10'", "workers: 0x10"),
    (3, "a whole number, not a list", "workers: [2]"),
    (3, "a whole number, not a mapping", "concurrency: {runs: 2}"),
    (3, "a whole number, not '999", "concurrency: " + "9" * 5_000),
    (3, "'lease' must be a mapping, not '15s'", "lease: 15s"),
    (3, "a duration, not '5 seconds'", "lease: {ttl: 5 seconds}"),
    (3, "a duration, not '-5s'", "lease: {ttl: -5s}"),
    (3, "a duration, not '1m30s'", "lease: {ttl: 1m30s}"),
    (3, "a duration, not a list", "lease: {ttl: [5s]}"),
    (3, "over 0 and at most a year", "lease: {ttl: 0s}"),
    (3, "over 0 and at most a year", "lease: {ttl: 999999999d}"),
    (3, "'heartbeat' must be shorter than 'ttl'", "lease: {ttl: 5s}"),
    (5, "'heartbeat' must be shorter than 'ttl'", "lease:\n  ttl: 5s\n  heartbeat: 6s"),
    (3, "'max_crashes' must be from 1", "recovery: {max_crashes: 0}"),
    (3, "must be two durations; write the first and the longest: 1s..60s", "recovery: {backoff: 5s}"),
    (3, "the longest 'backoff' must be a duration, not nothing", "recovery: {backoff: 1s..}"),
    (3, "'backoff' starts above its end", "recovery: {backoff: 60s..1s}"),
    (3, "'usd' must be over 0", "budget: {usd: 0}"),
    (3, "'usd' must be over 0", "budget: {usd: -1}"),
    (3, "'usd' must be over 0", "budget: {usd: 0.0000001}"),
    (3, "'usd' must be over 0", "budget: {usd: 1e99}"),
    (3, "'usd' must be a number, not '.nan'", "budget: {usd: .nan}"),
    (3, "'usd' must be a number, not '$1'", "budget: {usd: $1}"),
    (3, "'tokens' must be from 1", "budget: {tokens: 0}"),
    (3, "SQLite only; write sqlite:///", "journal: postgresql://me:hunter2@db/tape"),
    (3, "SQLite only", "journal: postgresql+psycopg://db/tape"),
    (3, "'mysql://...' is not a journal's address", "journal: mysql://me:hunter2@db/tape"),
    (3, "did you mean 'sqlite:///dev.db'?", "journal: dev.db"),
    (3, "is not a journal's address", "journal: sqlite://dev.db"),
    (3, "would die with the process", "journal: 'sqlite:///:memory:'"),
    (3, "would die with the process", "journal: sqlite:///"),
    (3, "cannot be used", "journal: sqlite:///a.db?mode=ro"),
    (3, "cannot be used", "journal: sqlite:///~/a.db"),
    (3, "cannot be used", "journal: sqlite:///folder/"),
    (3, "is a folder; name a file in it: sqlite:////usr/dev.db", "journal: sqlite:////usr"),
    (3, "cannot be used", 'journal: "sqlite:///a\\0b.db"'),
    (3, "cannot be used", 'journal: "sqlite:///a\\nb.db"'),
    (3, "'journal' must be text, not '5'", "journal: 5"),
    (3, "both 'agent' and 'agents'", "agents: {a: b:c}"),
    (3, "'upstream' must be a mapping", "upstream: [bank]"),
    (3, "cannot be called 'Bank'", "upstream: {Bank: {}}"),
    (3, "cannot be called 'a-b'", "upstream: {a-b: {}}"),
    (3, "bank must be a mapping, not 'true'", "upstream: {bank: true}"),
    (4, "key 'faults' stands here twice", "upstream:\n  bank: {faults: [], faults: []}"),
    (3, "'reload' must be a list, not 'app'", "reload: app"),
    (3, "'../other' cannot be watched", "reload: [../other]"),
    (3, "'/etc' cannot be watched", "reload: [/etc]"),
    (3, "'.' cannot be watched", "reload: [.]"),
    (3, "must be text, not ''", "reload: ['']"),
    (3, "'terminal' cannot be 'soon'; write an age: 30d, 12h, 90m or 30s", "retention: {terminal: soon}"),
    (3, "'failed' must be text, not '30'", "retention: {failed: 30}"),
    (3, "'terminal' cannot be '-1d'", "retention: {terminal: -1d}"),
    (4, "unknown key 'stuck' in 'retention'; keys here: terminal, failed, cancelled", "retention:\n  stuck: 1d"),
    (3, "'retention' must be a mapping", "retention: 30d"),
]


@pytest.mark.parametrize(("line", "message", "written"), MISTAKES, ids=range(len(MISTAKES)))
def test_a_mistake_is_one_line_with_file_line_and_remedy(line: int, message: str, written: str) -> None:
    said = refusal(MINIMAL + written)
    assert said.startswith(f"tape.yaml:{line}: ")
    assert message in said
    assert "; " in said, "what happened; what to do"
    assert "hunter2" not in said


@pytest.mark.parametrize(
    ("line", "message", "written"),
    [
        (1, "'name' is missing", b""),
        (1, "'name' is missing", b"# nothing but a comment\n"),
        (1, "'name' is missing", b"~"),
        (1, "'name' is missing", b"name:\nagent: a:b"),
        (1, "no agent is named", b"name: x"),
        (2, "'agents' is empty", b"name: x\nagents: {}"),
        (2, "'agents' must be a mapping", b"name: x\nagents: [a:b]"),
        (2, "cannot be called 'a b'", b"name: x\nagents: {a b: m:f}"),
        (3, "did you mean 'app.agent:pay'?", b"name: x\nagents:\n  pay: app.agent.pay"),
        (2, "did you mean 'app.agent:pay'?", b"name: x\nagent: app/agent.py:pay"),
        (2, "write module:function", b"name: x\nagent: app"),
        (2, "write module:function", b"name: x\nagent: 'a:b:c'"),
        (2, "write module:function", b"name: x\nagent: os;system:x"),
        (1, "'name' must be text, not '7'", b"name: 7\nagent: a:b"),
        (1, "'name' must be text, not 'true'", b"name: true\nagent: a:b"),
        (1, "'name' cannot be '../x'", b"name: ../x\nagent: a:b"),
        (1, "'name' cannot be 'a\\u202eb'", b'name: "a\\u202eb"\nagent: a:b'),
        (1, "'name' cannot be 'xxx", b"name: " + b"x" * 70_000 + b"\nagent: a:b"),
        (1, "the file must be a mapping, not a list", b"[a, b]"),
        (1, "the file must be a mapping, not 'treasury'", b"treasury"),
        (2, "U+0000 is not allowed", b"name: x\n\x00"),
        (2, "U+001B is not allowed", b"name: x\nagent: \x1b[31m"),
        (3, "not UTF-8", b"name: x\n\n\xff\xfe"),
        (1, "not UTF-8", "name: x".encode("utf-16")),
        (1, "not UTF-8", b"\x89PNG\r\n\x1a\n" + bytes(range(256))),
        (1, "larger than 256 KiB", b"#" * (MAX_BYTES + 1)),
    ],
)
def test_files_that_are_wrong_as_a_whole(line: int, message: str, written: bytes) -> None:
    said = refusal(written)
    assert said.startswith(f"tape.yaml:{line}: ") and message in said


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(st.binary(max_size=80), st.text("abn:{}[]&*!|>'\"#%-?, \t\n\r0.~<é\u2028", max_size=80).map(str.encode))
)
def test_no_bytes_get_anything_but_a_config_or_one_line(noise: bytes) -> None:
    for data in (noise, MINIMAL.encode() + noise, b"upstream: {bank: " + noise):
        try:
            parse(data)
        except UsageError as error:
            assert str(error).startswith("tape.yaml:") and str(error).isprintable()


def test_the_slow_parser_refuses_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    import yaml

    monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    for line, _, written in MISTAKES:
        assert refusal(MINIMAL + written).startswith(f"tape.yaml:{line}: ")
    assert parse(FULL).workers == 2


# ------------------------------------------------------------------------------------------------ finding the file


def test_it_is_found_from_a_deep_folder(tmp_path: Path) -> None:
    (tmp_path / "tape.yaml").write_text(MINIMAL)
    deep = tmp_path.joinpath(*["deeper"] * 30)
    deep.mkdir(parents=True)
    config = load_config(deep, {})
    assert (config.root, config.source) == (tmp_path, tmp_path / "tape.yaml")
    assert config.journal == tmp_path / ".tape/dev.db"
    assert load_config(deep, {"TAPE_JOURNAL": "sqlite:///x.db"}).journal == tmp_path / "x.db"
    assert load_config(deep, {"TAPE_JOURNAL": ""}).journal == tmp_path / ".tape/dev.db"


def test_the_nearest_one_wins_and_is_named(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (tmp_path / "tape.yaml").write_text(MINIMAL + "workers: many")
    (inner / "tape.yaml").write_text(MINIMAL)
    assert load_config(inner, {}).root == inner
    with pytest.raises(UsageError, match=r"^tape\.yaml:3: "):
        load_config(tmp_path, {})
    (inner / "tape.yaml").unlink()
    with pytest.raises(UsageError) as caught:
        load_config(inner, {})
    assert str(caught.value).startswith(f"{tmp_path / 'tape.yaml'}:3: ")


def test_a_relative_start_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tape.yaml").write_text(MINIMAL)
    monkeypatch.chdir(tmp_path)
    assert load_config(Path(), {}).root == tmp_path


def test_without_one_the_line_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no tape\.yaml in .* make one with: tape init NAME"):
        load_config(tmp_path, {})


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("nowhere")])
def test_what_is_no_file_is_not_opened(tmp_path: Path, make: object) -> None:
    make(tmp_path / "tape.yaml")  # type: ignore[operator]
    with pytest.raises(UsageError, match=r"^tape\.yaml:1: not a regular file; "):
        load_config(tmp_path, {})


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "tape.yaml").write_text(MINIMAL)
    (tmp_path / "tape.yaml").chmod(0)
    with pytest.raises(UsageError, match=r"^tape\.yaml:1: cannot be read \(Permission denied\); "):
        load_config(tmp_path, {})


def test_hostile_folder_names_stay_on_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "a\nb\x1b[31m"
    (folder / "in").mkdir(parents=True)
    (folder / "tape.yaml").write_text("workers: 0")
    for start, reason in ((folder / "in", ":1: "), (tmp_path / "a\n", "no tape.yaml")):
        with pytest.raises(UsageError) as caught:
            load_config(start, {})
        assert reason in str(caught.value) and str(caught.value).isprintable()


def test_a_folder_that_cannot_exist() -> None:
    with pytest.raises(UsageError, match="cannot be searched"):
        load_config(Path("a\0b"), {})


def test_importing_it_is_cheap() -> None:
    heavy = "yaml", "pydantic", "sqlmodel", "typer", "asyncio", "difflib"
    code = f"import sys, tape.core.config; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
