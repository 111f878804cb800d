"""The upstream stand-in: a process of its own that plays the bank, or whatever outside system a tool acts on.

It keeps its own ledger, the only judge of what happened there, and shares no code with the runtime (the error classes
apart). `python -m tape.lab.upstream --name bank --ledger bank.jsonl` serves on 127.0.0.1 and prints one line
`{"name": ..., "url": ..., "pid": ...}` once it listens. It ends on SIGTERM or SIGINT; with
`--parent-pipe` also when its standard input ends, so that it dies with its parent whatever kills that; a line
`{"ledger": ..., "options": ...}` there lets it begin anew on another ledger, answered by `{"ledger": ...}`.

    POST   /{collection}         acts: 201 and the act. The headers Idempotency-Key, X-Business-Key and X-Fencing-Token
                                 are optional and recorded as sent
    GET    /{collection}         the acts, newest last, undone ones too; ?key= and ?business_key= filter
    GET    /{collection}/{id}    one act, or 404
    DELETE /{collection}/{id}    undoes: 200 and the act; again: the same, and nothing more happens. Idempotency-Key and
                                 X-Fencing-Token are recorded

    GET    /_health              controls of the stand-in itself, neither delayed nor hit by faults: name, pid, how many
    GET    /_ledger              acts; the ledger's lines; the faults with how often each `matched` and `struck`; puts
    GET    /_faults              a list of other faults in force
    POST   /_faults

An act is id, collection, key, business_key, fencing_token, body, at, undone, undone_at, undo_key, undo_fencing_token,
followed by those fields of an object body that do not hide one of these. Ids are `wires-1`, `wires-2`, ... in each
collection. Errors are `{"error": ...}`: 400 (not JSON, no collection name, unknown filter), 404, 405, 411, 413 (over
1 MiB), 431, 503 (it stops), 507 (the ledger cannot be written); after any of these nothing was done.

With `honours_key` a key belongs to its first request, in whatever collection: the same request again is answered 200
with the first result and `Idempotent-Replayed: true` (also when that act was undone since), 409 while the first is in
flight; another request 422. `key_lifetime` counts from the act; after it the key acts anew. A request that failed
before it acted leaves no key behind.

`latency` passes before an act or undo. `lookup_lag` and `lagging` answer look-ups from a copy that old: younger acts
are not there, and younger undos have not happened. Faults are told in `upstream_options.Fault`; they count well-formed
requests without 409 and 422. Faults set at run time, and all counts, are forgotten by a restart.

The ledger is JSON lines, each on disk before its answer is sent; a restart goes on with it:
`{"event": "act", id, collection, key, business_key, fencing_token, body, at, "undone": false}` and
`{"event": "undo", id, collection, key, fencing_token, at}`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, cast

from tape.core.kernel.errors import EnvironmentTrouble, UsageError
from tape.lab.upstream_http import HttpServer, Request, Response
from tape.lab.upstream_ledger import Act, Ledger, count_acts, read_ledger
from tape.lab.upstream_options import Fault, FaultKind, UpstreamOptions, parse_faults, parse_options
from tape.lab.upstream_server import StandIn

if TYPE_CHECKING:
    # Loaded where it is used: the stand-in's own process runs this module too, and would start a fifth slower.
    from subprocess import Popen

__all__ = [
    "Act",
    "Fault",
    "FaultKind",
    "Upstream",
    "UpstreamOptions",
    "count_acts",
    "environment_variable",
    "parse_faults",
    "parse_options",
    "read_ledger",
    "start_upstream",
]

START_SECONDS = 15.0  # generous: it starts in a tenth of a second, but on a loaded machine late is not broken
STOP_SECONDS = 5.0
HANDOVER_SECONDS = 2.0
HANDOVER_STEP_SECONDS = 0.02

_Made = TypeVar("_Made")


def environment_variable(name: str) -> str:
    """Where an agent finds the address of the stand-in called `name`: `TAPE_UPSTREAM_BANK` for `bank`."""
    return "TAPE_UPSTREAM_" + name.upper().replace("-", "_")


def start_upstream(
    name: str, ledger_path: str | os.PathLike[str], options: UpstreamOptions | None = None, *, port: int = 0
) -> Upstream:
    """Start a stand-in and wait until it listens; use it as a context manager, or call `stop`.

    `port` 0 takes any free one. Raises UsageError for a wrong name, port or a damaged ledger, EnvironmentTrouble if
    the process does not come up: port taken, ledger held by another stand-in, folder not writable.
    """
    _check_name(name)
    upstream = Upstream(name, Path(ledger_path).absolute(), options or UpstreamOptions(), port)
    upstream.restart()
    return upstream


class Upstream:
    """A stand-in's process, seen from its parent. It dies with the parent; the ledger and the port outlive it.

    Not for several threads at once.
    """

    def __init__(self, name: str, ledger_path: Path, options: UpstreamOptions, port: int) -> None:
        self.name = name
        self.ledger_path = ledger_path
        self.options = options
        self._port = port
        self._process: Popen[bytes] | None = None

    def __enter__(self) -> Upstream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`, the same over restarts."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        """The process id of the latest start."""
        if self._process is None:
            raise UsageError(f"the stand-in {self.name!r} was never started; call restart()")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def error_path(self) -> Path:
        """What the process wrote on standard error: its reasons not to start, and tracebacks, should it have bugs."""
        return self.ledger_path.with_name(self.ledger_path.name + ".err")

    def stop(self) -> None:
        """End it in order (SIGTERM), by force if it does not obey. Does nothing if it has ended."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it by SIGKILL, as a crash; back when it is dead. Does nothing if it has ended."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Start it again on the same port and ledger, with the options of the first start; stops it before if it runs.

        Raises as `start_upstream`.
        """
        self.stop()
        self._process = _spawn(self)
        try:
            self._port = _await_listening(self, self._process)
        except BaseException:
            self.kill()
            raise

    def renew(self, ledger_path: str | os.PathLike[str], options: UpstreamOptions) -> None:
        """Begin anew: another ledger, other options, no counts, the same process and address. Whoever asked before must
        have ended. Raises as `start_upstream`."""
        process = self._process
        self.ledger_path, self.options = Path(ledger_path).absolute(), options
        if process is None or process.poll() is not None:
            self.restart()
            return
        assert process.stdin is not None
        told = {"ledger": str(self.ledger_path), "options": options.document()}
        try:
            self.ledger_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            process.stdin.write(json.dumps(told).encode() + b"\n")
            process.stdin.flush()
        except OSError:
            self.restart()
            return
        answer = _await_line(self, process)
        if "error" in answer:
            raise UsageError(f"the stand-in {self.name!r}: {answer['error']}")

    def set_faults(self, faults: Sequence[Mapping[str, Any]]) -> None:
        """Put other faults in force, written as in a file, until the next restart. Raises UsageError, OSError."""
        import http.client

        documents = [fault.document() for fault in parse_faults(faults, f"faults of {self.name}")]
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=STOP_SECONDS)
        try:
            connection.request("POST", "/_faults", json.dumps(documents))
            answer = connection.getresponse()
            if answer.status != 200:
                raise EnvironmentTrouble(f"{self.url}/_faults answered {answer.status}: {answer.read()!r}")
        finally:
            connection.close()

    def _end(self, number: signal.Signals) -> None:
        from subprocess import TimeoutExpired

        process = self._process
        if process is None:
            return
        process.send_signal(number)  # does nothing if it has ended
        try:
            process.wait(STOP_SECONDS)
        except TimeoutExpired:
            process.kill()
            process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()


def _spawn(upstream: Upstream) -> Popen[bytes]:
    import subprocess

    command = [sys.executable, "-P", "-m", "tape.lab.upstream", "--name", upstream.name, "--parent-pipe"]
    command += ["--ledger", str(upstream.ledger_path), "--port", upstream.url.rpartition(":")[2]]
    command += ["--options", json.dumps(upstream.options.document())]
    try:
        upstream.ledger_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        errors = os.open(upstream.error_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise EnvironmentTrouble(f"{upstream.error_path}: cannot be written ({error.strerror})") from error
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=_environment(),
            start_new_session=True,  # a Ctrl-C at the terminal is for the parent, which stops it in order
        )
    finally:
        os.close(errors)


def _environment() -> dict[str, str]:
    """The child runs this very package: `-P` keeps whatever lies in the working folder from hiding a module of it."""
    import sysconfig

    environment = dict(os.environ)
    root = str(Path(__file__).resolve().parents[2])
    if root not in (sysconfig.get_path("purelib"), sysconfig.get_path("platlib")):
        given = environment.get("PYTHONPATH")
        environment["PYTHONPATH"] = f"{root}{os.pathsep}{given}" if given else root
    return environment


def _await_listening(upstream: Upstream, process: Popen[bytes]) -> int:
    """The port, once the process says that it listens. Raises as `start_upstream`."""
    return int(_await_line(upstream, process)["url"].rpartition(":")[2])


def _await_line(upstream: Upstream, process: Popen[bytes]) -> dict[str, Any]:
    """What the process says next. Raises as `start_upstream`."""
    import select

    assert process.stdout is not None
    descriptor = process.stdout.fileno()
    deadline = time.monotonic() + START_SECONDS
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    line = b""
    while not line.endswith(b"\n"):
        if not poller.poll(max(0.0, deadline - time.monotonic()) * 1000):
            late = f"the stand-in {upstream.name!r} did not listen within {START_SECONDS:g} s"
            raise EnvironmentTrouble(f"{late}; see {upstream.error_path}")
        chunk = os.read(descriptor, 4096)
        if not chunk:
            raise _start_failure(upstream, process.wait())
        line += chunk
    return cast("dict[str, Any]", json.loads(line))


def _start_failure(upstream: Upstream, status: int) -> UsageError | EnvironmentTrouble:
    lines = upstream.error_path.read_text(errors="replace").strip().splitlines()
    reason = lines[-1].removeprefix("error: ") if lines else f"it ended with status {status}"
    error = UsageError if status == 2 else EnvironmentTrouble
    return error(f"the stand-in {upstream.name!r} did not start: {reason}")


def _check_name(name: str) -> None:
    if not (name.isascii() and name[:1].isalpha() and name.replace("-", "").replace("_", "").isalnum()):
        raise UsageError(f"{name!r} cannot name a stand-in; use letters, digits, - and _, a letter first, as in bank")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as the stand-in itself, until told to end. Exit status 2: wrong use; 3: the machine is in the way."""
    parser = argparse.ArgumentParser(prog="python -m tape.lab.upstream", description="A stand-in outside system.")
    parser.add_argument("--name", required=True, help="what it is called, for example bank")
    parser.add_argument("--ledger", required=True, type=Path, help="its ledger, made if it is not there")
    parser.add_argument("--port", type=int, default=0, help="on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--options", default="{}", help='JSON, for example {"honours_key": true, "latency": "20ms"}')
    parser.add_argument("--parent-pipe", action="store_true", help="end when standard input ends")
    given = parser.parse_args(arguments)
    try:
        _check_name(given.name)
        if not 0 <= given.port <= 65535:
            raise UsageError(f"--port: {given.port} is no port; use 0 to 65535")
        options = parse_options(_json_argument(given.options), "--options")
        _serve(given.name, given.ledger, given.port, options, parent_pipe=given.parent_pipe)
    except (UsageError, EnvironmentTrouble) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 3
    return 0


def _json_argument(text: str) -> Mapping[str, Any]:
    try:
        return cast(Mapping[str, Any], json.loads(text))
    except ValueError as error:
        raise UsageError(f'--options: not JSON ({error}); write for example {{"latency": "20ms"}}') from error


def _serve(name: str, ledger_path: Path, port: int, options: UpstreamOptions, *, parent_pipe: bool) -> None:
    # Blocked in every thread and taken by sigwait: no handler can interrupt a line of the ledger half-way.
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    closing = threading.Event()
    stage = _Stage(name, closing)
    stage.set(ledger_path, options)
    server = _handed_over(lambda: _listen(port, stage))
    threading.Thread(target=server.serve_forever, name="accept", daemon=True).start()
    listening = {"name": name, "url": f"http://127.0.0.1:{server.port}", "pid": os.getpid()}
    _tell(listening)
    if parent_pipe:
        threading.Thread(target=_listen_to_parent, args=(stage,), name="parent", daemon=True).start()
    signal.sigwait(_ENDING)
    closing.set()
    stage.close()


class _Stage:
    """The stand-in that plays now; `set` lets another one take its place."""

    def __init__(self, name: str, closing: threading.Event) -> None:
        self._name = name
        self._closing = closing
        self._ledger: Ledger | None = None
        self.playing: StandIn | None = None

    def set(self, ledger_path: Path, options: UpstreamOptions) -> None:
        """Raises as Ledger."""
        ledger = _handed_over(lambda: Ledger(ledger_path, lambda: datetime.now(UTC)))
        self.close()
        self._ledger = ledger
        self.playing = StandIn(self._name, ledger, options, self._closing)

    def close(self) -> None:
        if self._ledger is not None:
            self._ledger.close()

    def answer(self, request: Request) -> Response | None:
        assert self.playing is not None
        return self.playing.answer(request)


def _tell(fact: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(fact) + "\n")
    sys.stdout.flush()


_ENDING = (signal.SIGTERM, signal.SIGINT)


def _listen(port: int, stage: _Stage) -> HttpServer:
    try:
        return HttpServer(port, stage.answer)
    except OSError as error:
        raise EnvironmentTrouble(
            f"port {port} on 127.0.0.1 cannot be used ({error.strerror}); take another one, or 0 for a free one"
        ) from error


def _handed_over(make: Callable[[], _Made]) -> _Made:
    """Try again for a moment: a stand-in whose parent was killed needs one to notice and let go of ledger and port."""
    deadline = time.monotonic() + HANDOVER_SECONDS
    while True:
        try:
            return make()
        except EnvironmentTrouble:
            if time.monotonic() >= deadline:
                raise
        time.sleep(HANDOVER_STEP_SECONDS)


def _listen_to_parent(stage: _Stage) -> None:
    """One order per line, until the pipe ends, or breaks because the parent was killed in the middle."""
    try:
        for line in sys.stdin.buffer:
            _tell(_renewed(stage, json.loads(line)))
    except (OSError, ValueError):
        pass
    finally:
        os.kill(os.getpid(), signal.SIGTERM)


def _renewed(stage: _Stage, told: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        stage.set(Path(told["ledger"]), parse_options(told["options"], "options"))
    except (UsageError, EnvironmentTrouble) as error:
        return {"error": str(error)}
    return {"ledger": told["ledger"]}


if __name__ == "__main__":
    sys.exit(main())
