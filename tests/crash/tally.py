"""What a journal and the upstreams' ledgers say in numbers: deaths, runs, acts, doubled ones, lost ones.

Counts for itself, beside the checker's rules: a number that is wrong here is seen even if no rule says a word.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from tests.crash.checker import OWED, Story, Witnesses

SIGNALS = ("SIGKILL", "SIGTERM", "SIGSTOP")
AT_THE_END = "the server stops"


def workers_killed(seen: Witnesses) -> int:
    """Workers that died by SIGKILL, whoever sent it; not those that an orderly stop of the server has ended."""
    hows = [entry["body"]["how"] for entry in seen.service if entry["kind"] == "worker_died"]
    return sum(how.startswith("SIGKILL") and not how.endswith(AT_THE_END) for how in hows)


def acts_of(seen: Witnesses, untrue: Iterable[str] = ()) -> Counter[str]:
    """Acts of the journal's runs, and how many are doubled (more than one stands, and nobody says so) or lost
    (CONFIRMED, and none was ever there). Tools named `untrue` only count as acts. What a fork took over or calls in
    quarantine owes none."""
    found = Counter({"acts": 0, "doubled": 0, "lost": 0})
    for story in seen.stories:
        for key, effect in story.effects.items():
            acts = seen.acts.get(key, [])
            found["acts"] += len(acts)
            if effect["inherited"] or story.row["quarantine"]:  # not this run's to do: any act is one too many
                found["doubled"] += len(acts)
            elif effect["tool"] not in untrue and not _said(story, key):
                found["doubled"] += max(0, sum(not act["undone"] for act in acts) - 1)
                found["lost"] += _owes_an_act(effect) and not acts
    return found


def _owes_an_act(effect: Mapping[str, Any]) -> bool:
    acts = effect["semantics"] != "read_only" and effect["resolution"] != "decided"
    return acts and effect["status"] == "CONFIRMED"


def _said(story: Story, key: str) -> bool:
    """A person has ordered a retry, or a conflict or an open duty tells of the surplus."""
    orders = [entry["body"] for entry in story.of("order_placed")]
    return (
        any(order["args"].get("key") == key and order["args"].get("how") == "retry" for order in orders)
        or any(conflict["key"] == key and conflict["closed_us"] is None for conflict in story.conflicts)
        or any(duty["effect_key"] == key and duty["status"] in OWED for duty in story.duties.values())
    )


def line(counts: Mapping[str, int]) -> str:
    """`812 SIGKILL, 35 SIGTERM, 22 SIGSTOP; acts 1234, doubled 0, lost 0`."""
    kills = ", ".join(f"{counts.get(name, 0)} {name}" for name in SIGNALS)
    return f"{kills}; acts {counts.get('acts', 0)}, doubled {counts.get('doubled', 0)}, lost {counts.get('lost', 0)}"
