"""A stand-in that begins anew: another ledger and other options in the same process."""

from __future__ import annotations

import json
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from tape.core.kernel.errors import UsageError
from tape.lab.upstream import Upstream, parse_options, read_ledger, start_upstream


def post(upstream: Upstream, key: str) -> tuple[int, Any]:
    connection = HTTPConnection("127.0.0.1", int(upstream.url.rpartition(":")[2]), timeout=10)
    connection.request("POST", "/wires", json.dumps({"to": "ACME"}), {"Idempotency-Key": key})
    answer = connection.getresponse()
    body = json.loads(answer.read())
    connection.close()
    return answer.status, body


def test_another_ledger_in_the_same_process(tmp_path: Path) -> None:
    with start_upstream("bank", tmp_path / "a.jsonl") as bank:
        pid, url = bank.pid, bank.url
        assert post(bank, "k")[1]["id"] == "wires-1"
        bank.renew(tmp_path / "deep" / "b.jsonl", parse_options({"honours_key": True}, "bank"))
        assert [post(bank, "k")[0] for _ in range(2)] == [201, 200]
        assert (bank.pid, bank.url) == (pid, url)
        assert len(read_ledger(tmp_path / "a.jsonl")) == len(read_ledger(bank.ledger_path)) == 1
        bank.renew(tmp_path / "a.jsonl", parse_options({}, "bank"))
        assert post(bank, "k")[1]["id"] == "wires-2"


def test_a_dead_one_is_started(tmp_path: Path) -> None:
    with start_upstream("bank", tmp_path / "a.jsonl") as bank:
        url = bank.url
        bank.kill()
        bank.renew(tmp_path / "b.jsonl", parse_options({}, "bank"))
        assert bank.url == url
        assert post(bank, "k")[0] == 201


def test_a_damaged_ledger_is_refused(tmp_path: Path) -> None:
    (tmp_path / "b.jsonl").write_text("no ledger\n")
    with start_upstream("bank", tmp_path / "a.jsonl") as bank:
        with pytest.raises(UsageError, match="not a line of a ledger"):
            bank.renew(tmp_path / "b.jsonl", parse_options({}, "bank"))
        bank.renew(tmp_path / "c.jsonl", parse_options({}, "bank"))
        assert post(bank, "k")[0] == 201


ORDER = b'{"ledger": "LEDGER", "options": {}}\n'


@pytest.mark.parametrize("last_words", [ORDER[:11], ORDER], ids=["half", "whole"])
def test_it_ends_with_a_parent_that_dies_in_the_middle_of_an_order(tmp_path: Path, last_words: bytes) -> None:
    with start_upstream("bank", tmp_path / "a.jsonl") as bank:
        process = bank._process
        assert process is not None and process.stdin is not None and process.stdout is not None
        process.stdout.close()
        process.stdin.write(last_words.replace(b"LEDGER", bytes(tmp_path / "b.jsonl")))
        process.stdin.close()
        assert process.wait(10) == 0
