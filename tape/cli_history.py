"""The commands on what was: `tape export`, `tape import`, `tape gc`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tape.cli_common import AsJson, hint, output, project
from tape.core.kernel.errors import UsageError

if TYPE_CHECKING:
    from tape.core.server.collecting import Collected


def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the same, and remove nothing.")] = False,
    keep: Annotated[
        str | None,
        typer.Option("--keep", metavar="AGES", help="Ages by end, such as terminal=30d,failed=90d,cancelled=90d."),
    ] = None,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it is recorded with your name.")] = "",
    as_json: AsJson = False,
) -> None:
    """Remove runs that ended long ago, as `retention` in tape.yaml or --keep says. Works beside a server.

    \b
    Examples:
      tape gc --dry-run
      tape gc --keep terminal=30d,failed=90d,cancelled=90d
    """
    from tape.core.clock import SystemClock
    from tape.core.retention import parse_keep

    flags = {} if keep is None else parse_keep(keep)
    config = project()
    kept = {**config.retention, **flags}
    if not kept:
        raise UsageError(
            "runs are kept for ever: say for how long with `retention: {terminal: 30d}` in tape.yaml, "
            "or with --keep terminal=30d"
        )
    from tape.core.server.collecting import collect
    from tape.core.server.orders import operator_name

    done = collect(config, SystemClock(), kept, dry_run=dry_run, actor=operator_name(), reason=reason)
    _print_collected(done, dry_run=dry_run, as_json=as_json)


def _print_collected(done: Collected, *, dry_run: bool, as_json: bool) -> None:
    from tape.core.text import count, size

    removal = done.removal
    if as_json:
        facts = {"dry_run": dry_run, "runs": list(removal.runs), "ends": dict(removal.ends)}
        sizes = {"entries": removal.entries, "values": removal.values, "bytes": removal.bytes, "freed": done.freed}
        output().json(facts | sizes)
        return
    ends = ", ".join(f"{number} {end}" for end, number in sorted(removal.ends.items()))
    parts = [count(len(removal.runs), "run") + (f" ({ends})" if ends else "")]
    parts += [count(removal.entries, "entry", "entries"), count(removal.values, "value")]
    verb = "would remove" if dry_run else "removed"
    output().say(f"{verb} {', '.join(parts)}: {size(removal.bytes)}")
    if done.freed is not None:
        hint(f"the file is {size(done.freed)} smaller")
