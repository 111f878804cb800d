"""What all commands share: exit codes, hints, the project, JSON options."""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tape.core.kernel.errors import UsageError

if TYPE_CHECKING:
    from tape.core.config import Config
    from tape.core.report import Paper

FAILED, USAGE, TROUBLE, INTERRUPTED, PIPE_CLOSED = 1, 2, 3, 130, 141

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def hint(text: str) -> None:
    """One line on standard error."""
    from tape.core.render import show

    print(show(text), file=sys.stderr, flush=True)


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
