"""The agents of the guide on choosing semantics, killed for real in each of the four cases."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dev.harness import Project
from tests.docs.pages import ROOT, blocks, python_of

GUIDE = ROOT / "docs" / "guide" / "your-own-agent.md"


def written_out(project: Project, page: Path) -> None:
    """The page's Python and tape.yaml in place of the project's own."""
    project.agent_file.write_text(python_of(page), "utf-8")
    (config,) = blocks(page, "yaml")
    (project.folder / "tape.yaml").write_text(config.text, "utf-8")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    project = Project(tmp_path_factory.mktemp("shop"))
    written_out(project, GUIDE)
    project.server()
    yield project
    project.close()


def acts(project: Project, service: str) -> int:
    """How many acts the service's own ledger holds."""
    ledger = project.folder / ".tape" / f"{service}.jsonl"
    lines = ledger.read_text("utf-8").splitlines() if ledger.exists() else []
    return sum(json.loads(line)["event"] == "act" for line in lines)


def killed_at(project: Project, point: str, agent: str, given: object, *more: str) -> tuple[int, dict]:
    """Runs the agent, killed at the point; returns the exit code and what the run came to."""
    armed = project.tape("kill", "--at", point, *more)
    assert armed.returncode == 0, armed.stderr
    done = project.tape("run", agent, "--input", json.dumps(given), "--wait", "--json")
    facts = json.loads(done.stdout)
    dump = json.loads(project.tape("doctor", "--dump-run", facts["run"], "--json").stdout)
    assert any(entry["kind"] == "point_reached" for entry in dump["entries"]), "nobody was killed"
    return done.returncode, facts | {"effects": dump["effects"]}


# agent, input, service, resolution when killed before the body, and when it had acted
KNOWN = [
    ("charge", "ada", "card", "redispatched", "redispatched"),
    ("pay", "7", "bank", "redispatched", "observed"),
    ("order", "a lamp", "shop", "redispatched", "observed"),
]


@pytest.mark.parametrize(("agent", "given", "service", "begun", "acted"), KNOWN, ids=[case[0] for case in KNOWN])
def test_what_can_be_known_is_settled_by_itself(
    shop: Project, agent: str, given: str, service: str, begun: str, acted: str
) -> None:
    for point, resolution in (("effect.begun", begun), ("effect.acted", acted)):
        before = acts(shop, service)
        code, run = killed_at(shop, point, agent, f"{given} {point}")
        (effect,) = run["effects"]
        assert (code, run["status"]) == (0, "TERMINAL")
        assert (effect["status"], effect["resolution"]) == ("CONFIRMED", resolution)
        assert run["result"] == effect["result"]
        assert acts(shop, service) == before + 1


@pytest.mark.parametrize(
    ("point", "sent", "answer", "status"),
    [
        ("effect.begun", 0, ("--fail",), "FAILED"),
        ("effect.begun", 1, ("--retry",), "TERMINAL"),
        ("effect.acted", 1, ("--confirm", '{"sent": true}'), "TERMINAL"),
    ],
)
def test_what_nobody_can_know_is_asked(
    shop: Project, point: str, sent: int, answer: tuple[str, ...], status: str
) -> None:
    before = acts(shop, "phone")
    code, run = killed_at(shop, point, "text", "hello")
    assert (code, run["status"]) == (1, "STUCK")
    shown = shop.tape("status", run["run"]).stdout
    key = f"{run['run']}/-/0/send_text"
    assert f"tape resolve {key} {answer[0]}" in shown
    assert shop.tape("resolve", key, *answer, "--reason", "looked at the phone").returncode == 0
    shop.await_status(run["run"], status)
    assert acts(shop, "phone") == before + sent


@pytest.mark.parametrize(("point", "held"), [("effect.begun", 0), ("effect.acted", 1)])
def test_what_can_be_undone_is_undone(shop: Project, point: str, held: int) -> None:
    code, run = killed_at(shop, point, "seat", f"12{point}")
    (effect,) = run["effects"]
    assert (code, run["status"], run["result"]) == (0, "TERMINAL", "no seat")
    assert (effect["status"], effect["resolution"]) == ("FAILED", "compensated")
    log = shop.folder / "seats" / "held"
    assert (log.read_text().split().count(f"12{point}") if log.exists() else 0) == held
    assert not (shop.folder / "seats" / f"12{point}").exists()


@pytest.mark.parametrize(
    ("point", "more"), [("at:slept", ()), ("decision.replied", ()), ("timer.set", ()), ("run.ending", ())]
)
def test_all_else_survives_too(shop: Project, point: str, more: tuple[str, ...]) -> None:
    code, run = killed_at(shop, point, "errand", "lamp", *more)
    assert (code, run["status"]) == (0, "TERMINAL"), run
    bought, refused, number = run["result"]
    assert (bought, refused) == ("one lamp", "buy: Rejected: lamp costs more than 0.5")
    assert 0 <= number < 1
    assert [effect["tool"] for effect in run["effects"]] == ["rate", "rate", "buy", "buy"]


def test_without_a_crash_they_all_work(shop: Project) -> None:
    for agent in ("charge", "pay", "order", "text", "seat", "errand"):
        done = shop.tape("run", agent, "--input", '"once"', "--wait")
        assert done.returncode == 0, (agent, done)
