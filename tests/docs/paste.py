"""`python -m tests.docs.paste PAGE`: runs a page's commands and writes what they print under them.

What is under a command that goes on, and under one with a line `...`, is chosen by hand and stays.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.docs.environment import make_environment
from tests.docs.pages import LEFT_OUT, Command, Shell, commands


def paste(page: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "home"
        folder.mkdir()
        shell = Shell(folder, make_environment(Path(name) / "venv"))
        printed: list[tuple[Command, list[str]]] = []
        try:
            for command in commands(page):
                real = shell.run(command)
                if real is not None and LEFT_OUT not in command.shown:
                    printed.append((command, [line.replace(str(folder), "/home/ada") for line in real]))
        finally:
            for command, process, lines in shell.background:
                print("\n".join([f"--- {command.text}", *lines]))
                process.terminate()
                process.wait()
    lines = page.read_text("utf-8").splitlines()
    for command, real in reversed(printed):
        lines[command.number : command.number + len(command.shown)] = real
    page.write_text("".join(f"{line}\n" for line in lines), "utf-8")


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        paste(Path(argument))
