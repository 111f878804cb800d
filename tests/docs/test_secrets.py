"""The agent of the guide on secrets, killed for real; the page's claims about its journal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dev.harness import Project
from tests.docs.pages import ROOT
from tests.docs.test_your_own_agent import acts, killed_at, written_out

GUIDE = ROOT / "docs" / "guide" / "secrets.md"
TOKEN, CARD = "tok-of-the-guide", "4000-0566-5566-5556"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    project = Project(tmp_path_factory.mktemp("cards"), environment={"SHOP_TOKEN": TOKEN})
    written_out(project, GUIDE)
    project.server()
    yield project
    project.close()


@pytest.mark.parametrize(("point", "resolution"), [("effect.begun", "redispatched"), ("effect.acted", "observed")])
def test_the_card_is_charged_once_and_stands_nowhere(shop: Project, point: str, resolution: str) -> None:
    before = acts(shop, "shop")
    code, run = killed_at(shop, point, "sell", "ada")
    (effect,) = run["effects"]
    assert (code, effect["resolution"]) == (0, resolution)
    assert effect["args"] == {"card": None, "token": None, "cents": 1900}
    assert effect["hidden"]["/token"] == {"secret": "SHOP_TOKEN"}
    assert len(effect["hidden"]["/card"]["redacted"]) == 32
    assert acts(shop, "shop") == before + 1
    ledger = shop.folder / ".tape" / "shop.jsonl"
    assert json.loads(ledger.read_text().splitlines()[-1])["body"]["card"] == CARD
    holding = [path.name for path in files(shop) if path != ledger and _holds(path)]
    assert holding == []
    shown = shop.tape("doctor", "--dump-run", run["run"]).stdout
    assert "‹secret SHOP_TOKEN›" in shown and "‹redacted " in shown


def test_the_key_is_the_owners_only(shop: Project) -> None:
    assert (shop.folder / ".tape" / "redact.key").stat().st_mode & 0o777 == 0o600


def files(project: Project) -> list[Path]:
    return [path for path in (project.folder / ".tape").iterdir() if path.is_file()]


def _holds(path: Path) -> bool:
    data = path.read_bytes()
    return TOKEN.encode() in data or CARD.encode() in data
