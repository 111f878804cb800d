"""A rehearsal: a recorded run plays the models and the tools, so an agent can be killed again and again without its
real model and without the real services. Switched on by `TAPE_REHEARSAL`, a file that `tape prove --from RUN` writes.

The agent's own code runs as it is, and so does what its tools declare. A model's reply comes from the record. A tool
that acts posts its arguments under its key to a stand-in, `POST {url}/{tool}`, and returns what was recorded at its
place; its look-up asks the stand-in, its undo undoes there.
"""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tape.core.kernel.errors import Rejected, UsageError
from tape.core.sdk.effects import Effect, Observation, absent, duplicate, present, unclear

VARIABLE = "TAPE_REHEARSAL"
ADDRESS = "TAPE_UPSTREAM_RECORDED"
TIMEOUT_SECONDS = 10.0

Json = Any


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """`decisions` in order, each `{"reply", "error"}`; `effects` by `decision/ordinal/tool`, each `{"tool", "args",
    "reads", "result", "error", "rejected"}`."""

    url: str
    decisions: list[dict[str, Json]]
    effects: dict[str, dict[str, Json]]

    # --- in the agent -----------------------------------------------------------------------------------------

    async def reply(self, index: int) -> Json:
        """The recorded reply. Raises as the model did; RuntimeError where the record ends."""
        if index >= len(self.decisions):
            raise RuntimeError(f"the recorded run has no decision {index}: the agent goes another way")
        recorded = self.decisions[index]
        if recorded["error"] is not None:
            raise _again(recorded["error"])
        return recorded["reply"]

    async def act(self, effect: Effect) -> Json:
        """Plays a tool's body."""
        recorded = self._recorded(effect)
        if recorded["rejected"]:
            raise Rejected(recorded["error"]["message"])
        if not recorded["reads"]:
            await asyncio.to_thread(self._post, effect)
        if recorded["error"] is not None:
            raise _again(recorded["error"])
        return recorded["result"]

    async def observe(self, effect: Effect) -> Observation:
        """Plays a tool's look-up."""
        try:
            acts = await asyncio.to_thread(self._acts, effect)
        except OSError as error:
            return unclear(f"the stand-in does not answer: {error}")
        result = self._recorded(effect)["result"]
        if not acts:
            return absent()
        return present(result) if len(acts) == 1 else duplicate([result] * len(acts))

    async def undo(self, effect: Effect) -> None:
        """Plays a compensation: it must hold if nothing had happened."""

        def undo() -> None:
            for act in self._acts(effect)[-1:]:
                self._send("DELETE", f"/{effect.tool}/{act['id']}", None, effect.key)

        await asyncio.to_thread(undo)

    # --- the record and the stand-in --------------------------------------------------------------------------

    def _recorded(self, effect: Effect) -> dict[str, Json]:
        """What was recorded at this place; else of the same call; else of the same tool."""
        found = self.effects.get(effect.key.partition("/")[2])
        mine = [recorded for recorded in self.effects.values() if recorded["tool"] == effect.tool]
        same = [recorded for recorded in mine if recorded["args"] == effect.args]
        if found is None and not mine:
            raise RuntimeError(f"the recorded run has no call of {effect.tool}: the agent goes another way")
        return found or (same or mine)[0]

    def _post(self, effect: Effect) -> None:
        self._send("POST", f"/{effect.tool}", effect.args, effect.key)

    def _acts(self, effect: Effect) -> list[dict[str, Json]]:
        from urllib.parse import quote

        acts: list[dict[str, Json]] = self._send("GET", f"/{effect.tool}?key={quote(effect.key, safe='')}", None, "")
        return [act for act in acts if not act["undone"]]

    def _send(self, method: str, path: str, body: Json, key: str) -> Json:
        from urllib.request import ProxyHandler, Request, build_opener  # not for runs in earnest, which start sooner

        headers = {"Content-Type": "application/json"} | ({"Idempotency-Key": key} if key else {})
        data = None if body is None else json.dumps(body, default=str).encode()  # str: of what is hidden
        request = Request(self.url + path, data, headers, method=method)
        with build_opener(ProxyHandler({})).open(request, timeout=TIMEOUT_SECONDS) as answer:
            return json.load(answer)


def _again(error: dict[str, str]) -> Exception:
    """An error of the same name and message as the recorded one."""
    kind = type(error["type"], (Exception,), {"__module__": "builtins"})
    return kind(error["message"])


def current() -> Rehearsal | None:
    """The rehearsal that this process plays; None in earnest. Raises UsageError for a file that is none."""
    path = os.environ.get(VARIABLE)
    return None if not path else _load(path)


_loaded: dict[str, Rehearsal] = {}


def _load(path: str) -> Rehearsal:
    if path not in _loaded:
        try:
            body = json.loads(Path(path).read_bytes())
            _loaded[path] = Rehearsal(os.environ[ADDRESS], body["decisions"], body["effects"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{VARIABLE}: {path} is no recorded run: {error!r}") from None
    return _loaded[path]
