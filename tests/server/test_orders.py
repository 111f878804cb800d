"""Who may write a journal, where its server listens, and how an order finds its way."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tape.core.clock import ManualClock
from tape.core.config import Config, load_config
from tape.core.dial import NoServer, ask
from tape.core.journal.views import open_reader
from tape.core.journal.writer import Writer
from tape.core.kernel.errors import EnvironmentTrouble, KeyConflict, NotFound, ServerUnavailable, UsageError
from tape.core.server import orders
from tape.core.server.orders import Lock, Order, journal_verb, place, socket_path
from tape.core.server.server import Server, ServerPolicy
from tests.server.peer import LEASE, RECOVERY


@pytest.fixture(autouse=True)
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A runtime folder with a path short enough for sockets."""
    folder = Path(tempfile.mkdtemp(prefix="t-", dir="/tmp"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setattr(orders, "PATIENCE", 2)
    monkeypatch.setattr(orders, "PAUSE_SECONDS", 0.001)
    (tmp_path / "tape.yaml").write_text("name: t\nagent: app:treasury\njournal: sqlite:///.tape/dev.db\n")
    return load_config(tmp_path, {})


# --- the socket's place -------------------------------------------------------------------------------------------


def folder_of(path: str) -> Path:
    return Path(path).parent


def test_one_short_place_per_journal(tmp_path: Path, runtime: Path) -> None:
    deep = tmp_path / ("d" * 200) / "dev.db"
    first, second = socket_path(deep), socket_path(tmp_path / "other.db")
    assert first != second and socket_path(deep) == first
    link = tmp_path / "link.db"
    link.symlink_to(tmp_path / "other.db")
    assert socket_path(link) == second, "the journal's real path counts"
    assert folder_of(first) == runtime / "tape"
    assert stat.S_IMODE(folder_of(first).stat().st_mode) == 0o700


@pytest.mark.parametrize("base", [None, "", "/nonexistent", "x" * 80])
def test_without_a_usable_runtime_folder(base: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if base is None:
        monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    else:
        monkeypatch.setenv("XDG_RUNTIME_DIR", base)
    for temporary in ("/tmp", str(tmp_path / ("long" * 30))):
        monkeypatch.setattr(orders.tempfile, "gettempdir", lambda temporary=temporary: temporary)
        path = socket_path(tmp_path / "dev.db")
        assert path.startswith(f"/tmp/tape-{os.getuid()}/") and len(path) < 108


def test_a_folder_that_others_can_enter_is_refused(tmp_path: Path, runtime: Path) -> None:
    place_ = runtime / "tape"
    place_.mkdir(mode=0o755)
    place_.chmod(0o755)
    with pytest.raises(EnvironmentTrouble, match="only you can enter"):
        socket_path(tmp_path / "dev.db")
    place_.rmdir()
    place_.write_text("a file")
    with pytest.raises(EnvironmentTrouble, match="cannot make"):
        socket_path(tmp_path / "dev.db")
    place_.unlink()
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    place_.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(EnvironmentTrouble, match="only you can enter"):
        socket_path(tmp_path / "dev.db")


def test_a_socket_of_somebody_else_is_not_dialled(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    path = tmp_path / "s.sock"
    with pytest.raises(NoServer, match="start `tape dev`"):
        ask(str(path), {"t": "order"})
    path.write_text("not a socket")
    path.chmod(0o644)
    with pytest.raises(ServerUnavailable, match="not owned by you alone"):
        ask(str(path), {"t": "order"})
    path.chmod(0o600)
    with pytest.raises(NoServer):
        ask(str(path), {"t": "order"})
    tmp_path.chmod(0o755)
    with pytest.raises(ServerUnavailable, match="not owned by you alone"):
        ask(str(path), {"t": "order"})


# --- the lock -----------------------------------------------------------------------------------------------------


def test_one_writer_per_journal(tmp_path: Path) -> None:
    journal = tmp_path / "new" / "dev.db"
    first, second = Lock(journal), Lock(journal)
    assert first.take() and first.held
    assert not second.take() and not second.held
    assert second.holder() == str(os.getpid())
    assert not second.take_patiently(ManualClock())
    first.release()
    first.release()
    assert second.take_patiently(ManualClock())
    second.release()
    assert not journal.exists(), "the database is never touched for it"
    assert stat.S_IMODE(journal.parent.stat().st_mode) == 0o700


def test_a_command_that_writes_is_waited_for_longer_than_a_server(tmp_path: Path) -> None:
    taken: dict[bool, int] = {}
    for brief in (False, True):
        clock = ManualClock()
        holder, waiting = Lock(tmp_path / "dev.db", brief=brief), Lock(tmp_path / "dev.db")
        assert holder.take()
        before = clock.boot_us()
        assert not waiting.take_patiently(clock)
        taken[brief] = clock.boot_us() - before
        holder.release()
    assert taken[False] < 600_000
    assert taken[True] > 9_000_000


def test_the_lock_dies_with_its_process(tmp_path: Path) -> None:
    journal = tmp_path / "dev.db"
    code = (
        "import sys; from pathlib import Path; from tape.core.server.orders import Lock\n"
        "lock = Lock(Path(sys.argv[1])); assert lock.take(); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(journal)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        lock = Lock(journal)
        assert not lock.take() and lock.holder() == str(holder.pid)
        holder.kill()
        holder.wait()
        assert lock.take()
        lock.release()


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentTrouble, match="make the folder writable"):
        Lock(tmp_path / "file" / "dev.db").take()


# --- orders without a server --------------------------------------------------------------------------------------


def start(**args: Any) -> Order:
    return Order("start", args={"input": "pay", **args}, actor="me")


def test_without_a_server_the_order_is_written_alone(config: Config) -> None:
    placed = place(config, start())
    assert not placed.served
    with open_reader(config.journal) as reader:
        assert [run.id for run in reader.runs()] == [placed.result["run"]]
    assert place(config, start(key="k")).result == place(config, start(key="k")).result
    with pytest.raises(KeyConflict):
        place(config, Order("start", args={"input": "other", "key": "k"}))
    lock = Lock(config.journal)
    assert lock.take(), "and the lock given back, whatever happened"
    lock.release()


@pytest.mark.parametrize("verb", ["kill", "thaw"])
def test_what_only_a_server_can_do(config: Config, verb: str) -> None:
    with pytest.raises(ServerUnavailable, match="no server runs for this project"):
        place(config, Order(verb))


WRONG: list[tuple[Order, type[Exception], str]] = [
    (Order("conquer", "r-1"), UsageError, "no order is called 'conquer'"),
    (Order("cancel"), UsageError, "`cancel` needs a run"),
    (Order("cancel", "r-1"), NotFound, "no run r-1"),
    (Order("start", args={"agent": "treasurry"}), UsageError, "did you mean treasury"),
    (Order("start", args={"agent": "x"}), UsageError, "has no agent 'x'"),
]


@pytest.mark.parametrize(("order", "error", "says"), WRONG, ids=[says for _, _, says in WRONG])
def test_orders_that_cannot_be(config: Config, order: Order, error: type[Exception], says: str) -> None:
    place(config, start())
    with pytest.raises(error, match=says):
        place(config, order)


def test_somebody_holds_the_journal_and_nobody_answers(config: Config) -> None:
    lock = Lock(config.journal)
    assert lock.take()
    with pytest.raises(NoServer, match="no server answers"):
        place(config, start())
    lock.release()


# --- orders over a server -----------------------------------------------------------------------------------------


@pytest.fixture
def serving(config: Config) -> Iterator[Server]:
    lock = Lock(config.journal)
    assert lock.take()
    clock = ManualClock()
    writer = Writer(config.journal, clock)

    def operate(server: Server, frame: dict[str, Any]) -> Any:
        order = Order(frame["verb"], frame["run_id"], frame["args"], frame["actor"], frame["reason"])
        return server.submit(journal_verb(config, order))

    server = Server(writer, socket_path(config.journal), clock, ServerPolicy(LEASE, RECOVERY), operate)
    server.run()
    yield server
    server.stop()
    writer.close()
    lock.release()


def test_with_a_server_it_goes_over_the_socket(config: Config, serving: Server) -> None:
    placed = place(config, start())
    assert placed.served and placed.result["run"].startswith("r-")
    with pytest.raises(NotFound, match="no run r-0"):
        place(config, Order("cancel", "r-0"))
    run = placed.result["run"]
    assert place(config, Order("cancel", run, reason="no longer needed")).result == {"status": "CANCELLED"}
    with open_reader(config.journal) as reader:
        assert [run.status for run in reader.runs()] == ["CANCELLED"]


# --- forks --------------------------------------------------------------------------------------------------------


def test_fork_and_promote_are_orders_with_who_and_why(config: Config) -> None:
    source = place(config, Order("start", args={"agent": None, "input": {"n": 1}})).result["run"]
    made = place(config, Order("fork", source, {"at": 1}, actor="ada", reason="what if")).result
    assert (made["source"], made["seq"], made["note"]) == (source, 1, "")
    other = place(config, Order("fork", source, {"at": 1, "input": None})).result["run"]
    promoted = place(config, Order("promote", made["run"], actor="ada", reason="yes")).result["run"]
    with open_reader(config.journal) as reader:
        inputs = {run.id: reader.tape(run.id)[0].event.input for run in reader.runs()}  # type: ignore[attr-defined]
        placed = [(order.verb, order.actor, order.reason) for order in reader.dump(source).orders]
        runs = {run.id: (run.source_id, run.quarantine) for run in reader.runs()}
    assert inputs == {source: {"n": 1}, made["run"]: {"n": 1}, other: None, promoted: {"n": 1}}
    assert placed[0] == ("fork", "ada", "what if")
    assert runs == {
        source: (None, False),
        made["run"]: (source, True),
        other: (source, True),
        promoted: (made["run"], False),
    }


@pytest.mark.parametrize("at", [None, "1", 1.0, True])
def test_a_fork_needs_a_seq(config: Config, at: Any) -> None:
    source = place(config, Order("start", args={"agent": None, "input": None})).result["run"]
    with pytest.raises(UsageError, match="the seq it begins behind"):
        place(config, Order("fork", source, {"at": at}))


def test_a_refused_fork_leaves_no_order(config: Config) -> None:
    source = place(config, Order("start", args={"agent": None, "input": None})).result["run"]
    with pytest.raises(UsageError, match="has no seq 9"):
        place(config, Order("fork", source, {"at": 9}))
    with open_reader(config.journal) as reader:
        assert reader.dump(source).orders == [] and len(reader.runs()) == 1
