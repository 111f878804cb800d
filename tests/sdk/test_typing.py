"""An author's calls are typed: a type checker accepts what is right and refuses what is wrong."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CHECKER = shutil.which("pyright", path=str(Path(sys.executable).parent)) or shutil.which("pyright")


@pytest.mark.slow
@pytest.mark.skipif(CHECKER is None, reason="no type checker is installed")
def test_the_examples_are_typed_as_they_say(tmp_path: Path) -> None:
    """Errors that the examples expect are marked there; a mark that is not needed is an error as well."""
    assert CHECKER is not None
    shutil.copy(HERE / "typing_examples.py", tmp_path)
    settings = {
        "include": ["typing_examples.py"],
        "extraPaths": [str(HERE.parents[1])],
        "typeCheckingMode": "strict",
        "pythonVersion": "3.11",
        "reportUnnecessaryTypeIgnoreComment": "error",
        "venvPath": str(Path(sys.prefix).parent),
        "venv": Path(sys.prefix).name,
    }
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    done = subprocess.run([CHECKER, "-p", str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "No source files" not in done.stdout
