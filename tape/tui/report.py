"""Where a traceback of the console's own goes: a file, never the screen."""

from __future__ import annotations

import traceback
from pathlib import Path

FILE_NAME = "console-crash.txt"


def write_report(folder: Path, error: BaseException | None) -> str:
    """Where the traceback is, as the end of a sentence."""
    path = folder / FILE_NAME
    try:
        path.write_text("".join(traceback.format_exception(error)) if error else "", encoding="utf-8")
    except OSError:
        return "no report could be written"
    return f"the report is in {path}"
