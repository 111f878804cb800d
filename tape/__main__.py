"""`tape`, and `python -m tape`: the command line, with Ctrl-C heard from the first import on."""

from __future__ import annotations

import sys

INTERRUPTED = 130


def main() -> int:
    try:
        from tape.cli import main as command_line

        return command_line()
    except KeyboardInterrupt:
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
