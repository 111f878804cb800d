"""Forked agent processes are agent processes: they drive, die, are told dead and leave nothing, as exec'ed ones do.

A real host, a real fork server, real kills. After each test nothing may live that carries a worker's nonce.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tape.core.config import load_config
from tape.core.kernel.errors import UsageError
from tape.core.server.forkserver import ForkedChild, ForkServer
from tape.reactors.host import Host, Voice
from tests.crash.checker import living_with_nonces
from tests.crash.stage import DRAIN_SECONDS, Watch

pytestmark = pytest.mark.skipif(not ForkServer.available(), reason="no pidfds here")

SETTINGS = """\
name: forks
agent: crew:go
journal: sqlite:///.tape/{journal}.db
workers: 1
concurrency: 1
lease: {{ttl: 2s, heartbeat: 300ms, stall: 20s}}
recovery: {{max_crashes: 5, backoff: 20ms..200ms}}
"""
CREW = """
import os, signal, subprocess, sys, threading, time
import tape

IMPORTED_BY = os.getpid()

@tape.agent
async def go(run, given):
    if given == "leave":
        os._exit(7)
    if given == "strays":
        strays()
    print("driven by", os.getpid())
    files = {name: os.readlink(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd") if int(name) < 3}
    return {
        "pid": os.getpid(), "parent": os.getppid(), "session": os.getsid(0), "imported_by": IMPORTED_BY,
        "told_parent": os.environ["TAPE_SUPERVISOR_PID"], "color": os.environ.get("COLOR"),
        "files": files, "pipes": sum("pipe" in file for file in open_files()), "folder": os.getcwd(),
    }

def open_files():
    for name in os.listdir("/proc/self/fd"):
        try:
            yield os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            pass

def strays():
    subprocess.Popen(["sleep", "600"], start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if os.fork() == 0:
        os.setsid()
        time.sleep(600)
        os._exit(0)
"""


@dataclass
class Drill:
    """A project with hosts on it, one after the other."""

    root: Path
    hosts: list[Host] = field(default_factory=list)
    watch: Watch = field(default_factory=Watch)

    def open(self, forks: ForkServer | None, journal: str = "one", **environment: str) -> Host:
        (self.root / "tape.yaml").write_text(SETTINGS.format(journal=journal))
        self.watch = watch = Watch()
        voice = Voice(
            entries=watch.hear,
            agent_said=lambda pid, line: watch.said.append(f"{pid}: {line}"),
            trouble=watch.trouble.append,
        )
        host = Host(
            load_config(self.root, {}),
            voice=voice,
            environment=environment,
            spare=0,
            drain_seconds=DRAIN_SECONDS,
            forks=forks,
        )
        host.start()
        self.hosts.append(host)
        host.wait_ready()
        return host

    def run(self, given: Any = None) -> dict[str, Any]:
        """What the run returns."""
        run_id = self.hosts[-1].start_run("go", given)
        return self.watch.until(lambda: self.watch.of("run_ended", run_id), "the run's end")[0].result

    def worker(self, after: int = 0) -> Any:
        """The first worker that is ready, of those with a higher number."""
        return self.watch.until(
            lambda: [seen for seen in self.watch.of("worker_moved", status="READY") if seen.worker > after],
            f"a worker after {after}",
        )[0]

    def death(self, worker: int) -> Any:
        return self.watch.until(lambda: self.watch.of("worker_died", worker=worker), f"the death of {worker}")[0]


@pytest.fixture
def drill(tmp_path: Path) -> Iterator[Drill]:
    root = tmp_path / "project"
    root.mkdir()
    (root / "crew.py").write_text(CREW)
    drill = Drill(root)
    yield drill
    for host in drill.hosts:
        host.stop()
    for journal in (root / ".tape").glob("*.db"):
        assert living_with_nonces(journal) == []


@pytest.fixture
def forks(drill: Drill) -> Iterator[ForkServer]:
    with ForkServer(drill.root, {"go": "crew:go"}) as forks:
        assert forks.refused == ""
        yield forks


def children(parent: int) -> list[int]:
    """Of this process, dead ones too."""
    return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


def gone(pid: int) -> bool:
    """Dead; whoever has to reap it may not have come to it yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def test_a_forked_worker_drives_with_what_is_its_own(drill: Drill, forks: ForkServer) -> None:
    host = drill.open(forks, COLOR="red")
    first = drill.worker()
    host.supervisor.kill(first.worker, "by the test")
    drill.worker(first.worker)  # not the first one: nothing of an earlier one's is left to it
    done = drill.run()
    assert done["parent"] == done["imported_by"] == forks.pid == int(done["told_parent"])
    assert done["session"] == done["pid"]
    assert (done["color"], done["folder"]) == ("red", str(drill.root))
    assert done["files"]["0"] == "/dev/null" and done["pipes"] == 2, "its own stdout and stderr, and nobody else's"
    drill.watch.until(lambda: f"{done['pid']}: driven by {done['pid']}" in drill.watch.said, "what it prints")
    assert forks.forked == 2


def test_one_fork_server_serves_hosts_one_after_the_other(drill: Drill, forks: ForkServer) -> None:
    colors: list[str] = []
    for number in range(3):
        host = drill.open(forks, f"journal-{number}", COLOR=f"color {number}")
        colors.append(drill.run()["color"])
        drill.hosts.remove(host)
        host.stop()
    assert colors == ["color 0", "color 1", "color 2"]
    assert forks.forked == 3
    assert forks.pid is not None and children(forks.pid) == [], "each has been reaped"


@pytest.mark.parametrize(
    ("signal_", "how"), [(signal.SIGKILL, "SIGKILL: by the test"), (signal.SIGTERM, "exit 0: by the test")]
)
def test_a_death_by_our_hand_is_told_as_it_was(
    drill: Drill, forks: ForkServer, signal_: signal.Signals, how: str
) -> None:
    host = drill.open(forks)
    first = drill.worker()
    assert host.supervisor.kill(first.worker, "by the test", signal_) == first.pid
    assert drill.death(first.worker).how == how
    assert drill.worker(first.worker).pid != first.pid
    assert forks.forked == 2


@pytest.mark.parametrize(
    ("signal_", "how"), [(signal.SIGKILL, "SIGKILL"), (signal.SIGTERM, "exit 0"), (signal.SIGUSR1, "SIGUSR1")]
)
def test_a_death_by_a_signal_from_outside_is_told_as_it_was(
    drill: Drill, forks: ForkServer, signal_: signal.Signals, how: str
) -> None:
    drill.open(forks)
    first = drill.worker()
    os.kill(first.pid, signal_)
    assert drill.death(first.worker).how == how


def test_an_exit_is_told_with_its_code(drill: Drill, forks: ForkServer) -> None:
    host = drill.open(forks)
    first = drill.worker()
    host.start_run("go", "leave")
    assert drill.death(first.worker).how == "exit 7"


def test_strays_of_both_kinds_are_found_and_ended(drill: Drill, forks: ForkServer) -> None:
    """One by fork alone, one by exec, both with sessions of their own: no signal to the group reaches them."""
    host = drill.open(forks)
    done = drill.run("strays")
    strays = children(done["pid"])
    assert len(strays) == 2 and all(os.getsid(pid) == pid for pid in strays)
    first = drill.worker()
    host.supervisor.kill(first.worker, "by the test")
    assert drill.death(first.worker).proven
    assert [pid for pid in strays if not gone(pid)] == []


def test_a_frozen_one_is_killed_too(drill: Drill, forks: ForkServer) -> None:
    host = drill.open(forks)
    first = drill.worker()
    host.supervisor.kill(first.worker, "frozen", signal.SIGSTOP)
    host.supervisor.kill(first.worker, "by the test")
    assert drill.death(first.worker).how == "SIGKILL: by the test"


# --- what cannot be forked ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("threading.Thread(target=time.sleep, args=(600,), daemon=True).start()", "starts threads"),
        ("KEPT = open(__file__)", "leaves files open"),
        ("if os.path.exists('/proc/self/task') and 'forkserver' in sys.argv[0]: os._exit(3)", "ended, or was silent"),
        ("if 'forkserver' in sys.argv[0]: raise OSError('not here')", "OSError: not here"),
    ],
)
def test_what_cannot_be_forked_is_started_as_always(drill: Drill, line: str, why: str) -> None:
    (drill.root / "crew.py").write_text(f"{CREW}\n{line}\n")
    with ForkServer(drill.root, {"go": "crew:go"}) as forks:
        assert why in forks.refused
        drill.open(forks)
        done = drill.run()
        assert done["parent"] == os.getpid() and done["imported_by"] == done["pid"]
        assert forks.forked == 0


def test_a_project_that_cannot_be_loaded_says_so_as_always(drill: Drill) -> None:
    (drill.root / "crew.py").write_text("import nothing_of_this_name\n")
    with ForkServer(drill.root, {"go": "crew:go"}) as forks:
        assert "nothing_of_this_name" in forks.refused
        with pytest.raises(UsageError, match=r"crew.py:1: crew cannot be loaded: ModuleNotFoundError"):
            drill.open(forks)


def test_what_was_read_at_import_must_be_the_same(drill: Drill) -> None:
    (drill.root / "crew.py").write_text(f"{CREW}\nfrom os import environ\nSHADE = environ.get('COLOR')\n")
    with ForkServer(drill.root, {"go": "crew:go"}, {"COLOR": "red"}) as forks:
        drill.open(forks, "same", COLOR="red", OTHER="free")
        assert drill.run()["parent"] == forks.pid
        drill.open(forks, "other", COLOR="blue")
        assert drill.run()["parent"] == os.getpid()
        assert forks.refused == "the project was loaded with another COLOR"


def test_another_projects_fork_server_is_not_used(drill: Drill, forks: ForkServer, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "crew.py").write_text(CREW)
    with ForkServer(other, {"go": "crew:go"}) as wrong:
        drill.open(wrong)
        assert drill.run()["parent"] == os.getpid()
        assert "TAPE_PROJECT" in wrong.refused


def test_after_a_reload_the_code_is_the_new_one(drill: Drill, forks: ForkServer) -> None:
    host = drill.open(forks)
    first = drill.worker()
    (drill.root / "crew.py").write_text(CREW.replace('"pid": os.getpid()', '"new": True, "pid": os.getpid()'))
    host.reload()
    drill.worker(first.worker)
    assert drill.run()["new"] is True


# --- the fork server's own end ---------------------------------------------------------------------------------------


def test_a_killed_fork_server_takes_its_children_along_and_another_one_starts(drill: Drill, forks: ForkServer) -> None:
    drill.open(forks)
    first, server = drill.worker(), forks.pid
    assert server is not None
    os.kill(server, signal.SIGKILL)
    assert drill.death(first.worker).how == "SIGKILL"
    second = drill.worker(first.worker)
    drill.watch.until(lambda: forks.pid not in (None, server) or forks.refused, "another fork server")
    third = drill.worker(second.worker - 1)
    os.kill(third.pid, signal.SIGKILL)
    drill.worker(third.worker)
    assert drill.run()["parent"] == forks.pid != server


def test_a_silent_fork_server_holds_nothing_up_for_ever(
    drill: Drill, forks: ForkServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tape.core.server.forkserver.ANSWER_SECONDS", 0.2)
    server = forks.pid
    assert server is not None
    os.kill(server, signal.SIGSTOP)
    drill.open(forks)
    assert drill.run()["parent"] == os.getpid()
    assert gone(server)


def test_closed_it_ends_its_children_and_the_next_are_started_as_always(drill: Drill, forks: ForkServer) -> None:
    drill.open(forks)
    first = drill.worker()
    forks.close()
    assert drill.death(first.worker).how == "SIGKILL"
    drill.worker(first.worker)
    assert drill.run()["parent"] == os.getpid()


HOLDER = """
import sys
from pathlib import Path
from tape.core.config import load_config
from tape.core.server.forkserver import ForkServer
from tape.reactors.host import Host
root = Path(sys.argv[1])
forks = ForkServer(root, {"go": "crew:go"})
forks.start()
host = Host(load_config(root, {}), spare=0, forks=forks)
host.start()
host.wait_ready()
print(forks.pid, *(process.pid for process in host.supervisor.processes()), flush=True)
input()
"""


def test_all_of_it_ends_with_the_process_that_holds_it(drill: Drill) -> None:
    (drill.root / "tape.yaml").write_text(SETTINGS.format(journal="one"))
    holder = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(HOLDER), str(drill.root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:
        assert holder.stdout is not None
        pids = [int(pid) for pid in holder.stdout.readline().split()]
        assert len(pids) == 2 and not any(gone(pid) for pid in pids)
        holder.kill()
        drill.watch.until(lambda: all(gone(pid) for pid in pids), f"the end of {pids}")


@pytest.fixture
def waiting() -> Iterator[Callable[[int | None], subprocess.Popen[bytes]]]:
    """Processes in a group that the test chooses."""
    started: list[subprocess.Popen[bytes]] = []

    def start(group: int | None) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(["sleep", "600"], process_group=0 if group is None else group)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_no_group_is_hit_once_its_pid_may_be_a_strangers(
    waiting: Callable[[int | None], subprocess.Popen[bytes]], forks: ForkServer
) -> None:
    leader = waiting(None)
    other = waiting(leader.pid)
    assert forks.pid is not None
    child = ForkedChild(forks, forks.pid, leader.pid, os.pidfd_open(leader.pid))
    forks.close()
    child.send_group(signal.SIGKILL)
    assert leader.wait() == -signal.SIGKILL
    assert child.wait() == -signal.SIGKILL
    assert other.poll() is None
    os.close(child.pidfd)
