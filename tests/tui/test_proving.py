"""The child of a proof: what it says arrives in order, it stops when told, and it never outlives the console."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tape.tui import proving
from tape.tui.messages import ProofEnded, ProofTold, ProofWanted
from tape.tui.proving import Proving, prove_command
from tests.dev.harness import clean_environment, wait_until

CHILD = str(Path(__file__).parent / "proof_child.py")
SECONDS = 20.0
Start = Callable[..., Proving]
Heard = queue.SimpleQueue[ProofTold | ProofEnded]


@pytest.fixture
def heard() -> Heard:
    return queue.SimpleQueue()


@pytest.fixture
def start(tmp_path: Path, heard: Heard) -> Iterator[Start]:
    """Starts a recorded child, or the command that is given."""
    started: list[Proving] = []

    def begin(*lines: str, command: list[str] | None = None) -> Proving:
        file = tmp_path / "lines"
        file.write_text("\n".join(lines))
        child = [sys.executable, "-I", "-S", CHILD, str(file)] if command is None else command
        started.append(Proving(7, child, tmp_path, heard.put))
        started[-1].start()
        return started[-1]

    yield begin
    for one in started:
        one.stop()
        one.join()


def all_of(heard: Heard) -> tuple[list[str], ProofEnded]:
    """The lines, and the end."""
    lines: list[str] = []
    while isinstance(message := heard.get(timeout=SECONDS), ProofTold):
        assert message.number == 7
        lines.append(message.line)
    return lines, message


def test_every_line_in_order_then_the_end(start: Start, heard: Heard) -> None:
    told = [json.dumps({"result": number, "é": "\u2028 漢"}, ensure_ascii=False) for number in range(2_000)]
    start(*told, "@exit 1")
    lines, end = all_of(heard)
    assert lines == told
    assert (end.number, end.code, end.last_words) == (7, 1, "")


def test_the_last_words_are_the_last_line_of_standard_error(start: Start, heard: Heard) -> None:
    """And so much is said before that a child would wait for ever if nobody read it."""
    start(*[f"@stderr {'x' * 1_000}"] * 500, "@stderr tape: no such agent", "@stderr  ", "@exit 2")
    end = all_of(heard)[1]
    assert (end.code, end.last_words) == (2, "tape: no such agent")


def test_a_child_that_cannot_be_started(start: Start, heard: Heard) -> None:
    start(command=["/no/such/program"])
    lines, end = all_of(heard)
    assert (lines, end.code) == ([], 127)
    assert "cannot be started" in end.last_words


def held(tmp_path: Path, *before: str) -> list[str]:
    """A child that has said its pid, and holds."""
    os.mkfifo(tmp_path / "gate")
    return [*before, f"@pid {tmp_path / 'pid'}", "here", f"@wait {tmp_path / 'gate'}"]


def pid_of(tmp_path: Path) -> int:
    return int((tmp_path / "pid").read_text())


def lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def test_a_child_leads_a_session_of_its_own(start: Start, heard: Heard, tmp_path: Path) -> None:
    start(*held(tmp_path))
    heard.get(timeout=SECONDS)
    assert os.getsid(pid_of(tmp_path)) == pid_of(tmp_path)


def test_stop_asks_it_to_end(start: Start, heard: Heard, tmp_path: Path) -> None:
    child = start(*held(tmp_path))
    heard.get(timeout=SECONDS)
    assert child.running
    child.stop()
    child.stop()
    assert all_of(heard)[1].code == -signal.SIGTERM
    child.join()
    assert not child.running and not lives(pid_of(tmp_path))


def test_one_that_does_not_obey_is_killed(
    start: Start, heard: Heard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proving, "OBEYS_SECONDS", 0.1)
    child = start(*held(tmp_path, "@deaf"))
    heard.get(timeout=SECONDS)
    child.stop()
    assert all_of(heard)[1].code == -signal.SIGKILL
    assert not lives(pid_of(tmp_path))


def test_one_that_is_stopped_before_it_began(start: Start, heard: Heard, tmp_path: Path) -> None:
    child = start(*held(tmp_path))
    child.stop()
    assert all_of(heard)[1].code == -signal.SIGTERM


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "arguments"),
    [
        (ProofWanted(1, None, None), []),
        (ProofWanted(1, "treasury", None), ["--", "treasury"]),
        (ProofWanted(1, "-x", "a 'b'"), ["--input", "\"a 'b'\"", "--", "-x"]),
        (ProofWanted(1, None, {"n": -5}, pairs=True), ["--pairs", "--input", '{"n": -5}']),
    ],
)
def test_what_the_command_line_is_given(wanted: ProofWanted, arguments: list[str]) -> None:
    command = prove_command(wanted)
    at = command.index("prove")
    assert command[0] == sys.executable
    assert command[at:] == ["prove", "--events", "--keep", "all", *arguments]


def test_where_there_is_no_project_it_says_so_in_one_line(start: Start, heard: Heard) -> None:
    start(command=prove_command(ProofWanted(1, "treasury", "pay invoice 7")))
    end = all_of(heard)[1]
    assert end.code == 2
    assert end.last_words.startswith("tape: no tape.yaml in ")


CONSOLE = """
import sys
from pathlib import Path
from tape.tui import proving
from tape.tui.messages import ProofWanted
# The child holds where the command line would begin: what stands before it is the real thing.
before = proving._CHILD.partition("from tape.cli")[0]
proving._CHILD = before + "open('pid', 'w').write(str(os.getpid())); signal.pause()"
child = proving.Proving(1, proving.prove_command(ProofWanted(1, None, None)), Path.cwd(), print)
child.start()
child.join()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ends a child with its parent on Linux only")
def test_it_dies_with_a_console_that_is_killed(tmp_path: Path) -> None:
    console = subprocess.Popen(
        [sys.executable, "-c", CONSOLE], cwd=tmp_path, env=clean_environment(), stdout=subprocess.DEVNULL
    )
    try:
        place = tmp_path / "pid"
        wait_until(lambda: place.exists() and place.read_text(), "the child is there")
        assert lives(pid_of(tmp_path))
    finally:
        console.kill()
        console.wait()
    wait_until(lambda: not lives(pid_of(tmp_path)), "the child is gone")
