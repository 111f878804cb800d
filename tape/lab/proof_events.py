"""A proof as JSON lines, for a program that watches it: `good`, `plan`, `result` for each cell, and then `proof`."""

from __future__ import annotations

import json
import sys
from typing import Any

from tape.lab.good import Good
from tape.lab.proof import Cell, Place, Result, cell_json, place_json, result_json


def tell(fact: dict[str, Any]) -> None:
    """One line."""
    sys.stdout.write(json.dumps(fact) + "\n")
    sys.stdout.flush()


class Events:
    """A proof's audience. With a second round (`--pairs`) there is a second plan, of all cells."""

    def good(self, good: Good, seconds: float) -> None:
        tell({"good": {"status": good.status, "seconds": round(seconds, 3), "boundaries": len(good.places)}})

    def plan(self, agent: str, places: tuple[Place, ...], cells: tuple[Cell, ...], jobs: int) -> None:
        plan = {"agent": agent, "jobs": jobs, "boundaries": [place_json(place) for place in places]}
        tell({"plan": {**plan, "cells": [cell_json(cell) for cell in cells]}})

    def result(self, result: Result) -> None:
        tell({"result": result_json(result)})
