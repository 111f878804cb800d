"""What all commands share: exit codes, options, hints, the project, orders."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Mapping
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TextIO

import typer

from tape.core.kernel.errors import ServerUnavailable, UsageError

if TYPE_CHECKING:
    from tape.core.config import Config
    from tape.core.report import Paper
    from tape.core.server.orders import Placed

FAILED, USAGE, TROUBLE, INTERRUPTED, PIPE_CLOSED = 1, 2, 3, 130, 141

RECORDED = "recorded; start `tape dev` to drive it"

Run = Annotated[str, typer.Argument(metavar="RUN", help="The run's id, as `tape status` lists it.", show_default=False)]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it is recorded with your name.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def hint(text: str) -> None:
    """One line on standard error."""
    from tape.core.render import show

    print(show(text), file=sys.stderr, flush=True)


def open_streams() -> None:
    """What a stream cannot encode is escaped. A closed one is taken by /dev/null, so that no journal is opened in its
    place: what is written to a closed output fails there as on a full disk, hints are dropped."""
    if sys.stdin is None:
        os.open(os.devnull, os.O_RDONLY)
    if sys.stdout is None:
        sys.stdout = open(os.open(os.devnull, os.O_RDONLY), "w")  # noqa: SIM115 - open until the process ends
    if sys.stderr is None:
        sys.stderr = open(os.open(os.devnull, os.O_WRONLY), "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def drop_unwritten(stream: TextIO) -> bool:
    """Whether the stream holds what it cannot write. That is dropped: Python would try, and fail, again at exit."""
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return True
    return False


def project() -> Config:
    """The project that the working folder lies in. Raises UsageError."""
    from tape.core.config import load_config

    return load_config(Path("."), os.environ)


def output() -> Paper:
    """Standard output."""
    from tape.core.report import Paper

    return Paper(sys.stdout)


def parse_json(text: str, option: str) -> Any:
    """The value of a JSON option. Raises UsageError that says how to quote a text."""
    from tape.core.kernel.identity import RECORD_LIMIT_BYTES, check_json

    if len(text) > RECORD_LIMIT_BYTES:
        raise UsageError(f"{option} is over 1 MiB; pass a reference to it instead")
    try:
        value = json.loads(text)
    except RecursionError:
        raise UsageError(f"{option} is nested too deep") from None
    except ValueError as error:
        quoted = shlex.quote(json.dumps(text if len(text) <= 60 else text[:59] + "…", ensure_ascii=False))
        raise UsageError(f"{option} is not JSON ({error}); a text needs quotes of its own: {option} {quoted}") from None
    check_json(value, option)
    return value


def place_order(
    config: Config, verb: str, run_id: str | None = None, args: Mapping[str, Any] | None = None, reason: str = ""
) -> Placed:
    """Over the server's socket, or into the journal if none runs; says so."""
    from tape.core.server.orders import Order, operator_name, place

    placed = place(config, Order(verb=verb, run_id=run_id, args=args or {}, actor=operator_name(), reason=reason))
    if not placed.served:
        hint(RECORDED)
    return placed


def await_end(config: Config, run_id: str, *, served: bool, as_json: bool = False) -> NoReturn:
    """Exits 0 if the run ends TERMINAL, else 1. Raises ServerUnavailable where nobody drives it."""
    if not served:
        raise ServerUnavailable(f"{run_id} is recorded, but no server runs to drive it: start `tape dev`")
    from tape.core import report
    from tape.core.clock import SystemClock
    from tape.core.journal.environment import is_served
    from tape.core.journal.views import open_reader

    with open_reader(config.journal) as reader:
        ended = report.await_end(reader, SystemClock(), run_id, lambda: is_served(config.journal), hint)
        if as_json:
            facts = {"run": run_id, "status": ended.status, "error": ended.error}
            output().json(facts | {"result": report.result_of(reader, run_id)})
    hint(report.status_line(ended))
    raise typer.Exit(0 if ended.status == "TERMINAL" else FAILED)
