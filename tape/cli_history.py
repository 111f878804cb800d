"""The commands on what was: `tape export`, `tape import`, `tape gc`."""

from __future__ import annotations

from pathlib import Path
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


def export(
    run_id: Annotated[
        str, typer.Argument(metavar="RUN", help="The run's id, as `tape status` lists it.", show_default=False)
    ],
    to: Annotated[Path | None, typer.Option("--to", metavar="FILE", help="Where to (default: RUN.tape).")] = None,
    redact: Annotated[
        bool, typer.Option("--redact/--no-redact", help="Leave out hosts, users and process ids, or keep them.")
    ] = True,
    redact_values: Annotated[
        bool, typer.Option("--redact-values", help="Also each value but its type and hash: no replay then.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write all about one run into a file, to be looked at elsewhere. Needs no server.

    \b
    Examples:
      tape export r-0123456789ab
      tape export r-0123456789ab --to lost-answer.tape --redact-values
    """
    from tape.core.bundles import export_run
    from tape.core.text import count, size

    config = project()
    done = export_run(config.journal, run_id, to or Path(f"{run_id}.tape"), redact=redact, redact_values=redact_values)
    if as_json:
        output().json({"run": run_id, "file": str(done.file), "bytes": done.bytes, "entries": done.entries})
    else:
        output().say(f"{done.file} {size(done.bytes)}, {count(done.entries, 'entry', 'entries')}")


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `tape export` wrote.", show_default=False)],
    journal: Annotated[
        Path | None, typer.Option("--journal", metavar="PATH", help="The new journal (default: .tape/imported/RUN.db).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a journal of a bundle, to be looked at and never driven. With --journal it needs no project.

    \b
    Examples:
      tape import r-0123456789ab.tape
      tape import lost-answer.tape --journal lost-answer.db
    """
    from tape.core.bundles import import_file

    if journal is not None and not journal.parent.exists():
        raise UsageError(f"there is no folder {journal.parent}: make it, or name another file with --journal")
    folder = None if journal is not None else project().journal.parent / "imported"
    done = import_file(file, journal, folder)
    if as_json:
        output().json({"run": done.run_id, "journal": str(done.file), "values": done.values})
        return
    output().say(f"{done.run_id} {done.file}")
    hint(f"look at it with TAPE_JOURNAL=sqlite:///{done.file} in front of `tape status` or `tape doctor`")
