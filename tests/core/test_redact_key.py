"""The key of redacted arguments: made once, for its owner only, never half."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tape.core.clock import SystemClock
from tape.core.kernel.errors import EnvironmentTrouble
from tape.core.redact_key import redact_key


def test_it_is_made_once_and_is_the_owners_only(tmp_path: Path) -> None:
    journal = tmp_path / ".tape" / "dev.db"
    key = redact_key(journal, SystemClock())
    assert len(bytes.fromhex(key)) == 32
    assert redact_key(journal, SystemClock()) == key
    path = journal.parent / "redact.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [*journal.parent.iterdir()] == [path], "no draft is left"
    assert redact_key(tmp_path / "other" / "dev.db", SystemClock()) != key


def test_of_many_makers_one_wins(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        keys = list(threads.map(lambda _: redact_key(tmp_path / "dev.db", SystemClock()), range(32)))
    assert len(set(keys)) == 1


@pytest.mark.parametrize("text", ["", "ab", "g" * 64, "ab" * 32 + "x", "\xff" * 64])
def test_what_is_no_key_is_refused_and_kept(tmp_path: Path, text: str) -> None:
    path = tmp_path / "redact.key"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(EnvironmentTrouble, match="is no key of redacted arguments: restore it") as caught:
        redact_key(tmp_path / "dev.db", SystemClock())
    assert "\n" not in str(caught.value)
    assert path.read_text() == text


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    redact_key(tmp_path / "dev.db", SystemClock())
    (tmp_path / "redact.key").chmod(0o644)
    with pytest.raises(EnvironmentTrouble, match="can be read by others: `chmod 600"):
        redact_key(tmp_path / "dev.db", SystemClock())


def test_a_folder_is_no_key(tmp_path: Path) -> None:
    (tmp_path / "redact.key").mkdir()
    with pytest.raises(EnvironmentTrouble, match="cannot be read: Is a directory"):
        redact_key(tmp_path / "dev.db", SystemClock())
