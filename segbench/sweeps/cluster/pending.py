"""The reasons why jobs wait; of a job that can never start: what it asks for, what the nodes have, what to change."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from segbench.sweeps.cluster.squeue import RUNNING, Queued, facts_of, nodes_of

CANNOT_START = {"PartitionConfig", "PartitionNodeLimit", "PartitionTimeLimit", "BadConstraints"}
"""SLURM's reasons that say that the partition, as it is, has no place for such a job."""

PASSING = {"Priority", "Resources", "BeginTime", "JobArrayTaskLimit"}
"""Reasons that every queue has, and that need no mention before the line of the counts."""

HELD = {"JobHeldUser", "JobHeldAdmin"}

_UNITS = {"K": 1 / 1024, "M": 1.0, "G": 1024.0, "T": 1024.0**2}
"""SLURM's units of memory in MB."""


class Reasons:
    """The reasons of jobs in words. SLURM is asked once for each array and reason about what is asked for."""

    def __init__(self) -> None:
        self._texts: dict[tuple[str, str], str] = {}

    def of(self, queued: Mapping[str, Queued]) -> dict[str, str]:
        """The reason of each job that waits for one."""
        found = {}
        for job, entry in queued.items():
            if entry.state in RUNNING or entry.reason in ("None", ""):
                continue
            key = job.partition("_")[0], entry.reason
            if key not in self._texts:
                self._texts[key] = explain(job, entry.reason)
            found[job] = self._texts[key]
        return found


def explain(job: str, reason: str) -> str:
    """Return the reason in words; where the job can never start, with what is asked, and the key to change."""
    array = job.partition("_")[0]
    if reason in HELD:
        return f"SLURM says {reason}: 'scontrol release {array}' lets them go on"
    if reason not in CANNOT_START:
        return f"SLURM says {reason}"
    facts = facts_of(job)
    partition = facts.get("Partition", "")
    nodes = [Place.of_node(line) for line in nodes_of(partition) or ()]
    if not facts or not nodes:
        return f"SLURM says {reason}: such a job can never start; 'scontrol show job {job}' says what it asks for"
    asked = Place.of_job(facts)
    changes = list(_changes(asked, nodes, _number(facts.get("NtasksPerN:B:S:C", "1"))))
    if not changes and facts.get("ExcNodeList", "(null)") != "(null)":
        changes = ["hydra.launcher.exclude=null"]
    remedy = " ".join(changes) or "less of hydra.launcher.cpus_per_task, mem_gb or gpus_per_node: no node has all of it"
    return (
        f"SLURM says {reason}: such jobs can never start; each asks for {asked}, the nodes of partition {partition}"
        f" have {_kinds(nodes)}: 'scancel {array}', and give the command again with {remedy},"
        " or another hydra.launcher.partition"
    )


def remedy_of_refusal(resources: Mapping[str, Any]) -> str:
    """Say what jobs that SLURM refuses ask for, what the nodes have, and what to change; empty where all fits.

    Args:
        resources: of each job, in the words of submitit.
    """
    nodes = [Place.of_node(line) for line in nodes_of(str(resources.get("partition", "")))]
    asked = Place.of_resources(resources)
    changes = " ".join(_changes(asked, nodes, int(resources.get("tasks_per_node", 1)))) if nodes else ""
    return f"; each asks for {asked}, the nodes have {_kinds(nodes)}: change {changes}" if changes else ""


@dataclass(frozen=True)
class Place:
    """A place for a job: as asked for, or as a node offers it.

    Attributes:
        nodes: how many; a node is one.
        cpus: on each node.
        memory: on each node, in MB; 0 where nothing is asked.
        gpus: on each node.
        minutes: of time, None without a limit.
        features: names of what a constraint may ask for.
    """

    nodes: int
    cpus: int
    memory: float
    gpus: int
    minutes: int | None
    features: frozenset[str]

    @classmethod
    def of_job(cls, facts: Mapping[str, str]) -> Place:
        """The place that a job asks for, as `scontrol show job` tells it."""
        cpus = _number(facts.get("MinCPUsNode", "1"))
        memory = _megabytes(facts.get("MinMemoryNode", "0")) + cpus * _megabytes(facts.get("MinMemoryCPU", "0"))
        return cls(
            nodes=_number(facts.get("NumNodes", "1")),
            cpus=cpus,
            memory=memory,
            gpus=_gpus(facts.get("TresPerNode", "")),
            minutes=_minutes(facts.get("TimeLimit", "")),
            features=frozenset(re.findall(r"[\w.-]+", facts.get("Features", "").replace("(null)", ""))),
        )

    @classmethod
    def of_resources(cls, resources: Mapping[str, Any]) -> Place:
        """The place that a launcher asks for."""
        return cls(
            nodes=int(resources.get("nodes", 1)),
            cpus=int(resources.get("cpus_per_task", 1)) * int(resources.get("tasks_per_node", 1)),
            memory=1024 * float(resources.get("mem_gb", 0)),
            gpus=_gpus(f"gpu:{resources.get('gpus_per_node', 0)}"),
            minutes=resources.get("timeout_min"),
            features=frozenset(re.findall(r"[\w.-]+", str(resources.get("constraint", "")))),
        )

    @classmethod
    def of_node(cls, line: Sequence[str]) -> Place:
        """The place on a node, as `nodes_of` tells it."""
        cpus, memory, generic, features, limit = line
        named = frozenset(features.replace("(null)", "").split(",")) - {""}
        return cls(1, _number(cpus), _megabytes(memory), _gpus(generic), _minutes(limit), named)

    def __str__(self) -> str:
        parts = [f"{self.cpus} CPUs"]
        if self.memory:
            parts.append(f"{self.memory / 1024:.4g} GB")
        if self.gpus:
            parts.append(f"{self.gpus} GPUs")
        if self.minutes is not None:
            parts.append(f"{self.minutes} min")
        parts += sorted(self.features)
        return ", ".join(parts) + (f" on each of {self.nodes} nodes" if self.nodes > 1 else "")


def _kinds(nodes: Sequence[Place]) -> str:
    kinds = Counter(map(str, nodes)).most_common(3)
    return "; ".join(f"{text} ({count} of {len(nodes)})" if len(kinds) > 1 else text for text, count in kinds)


def _changes(asked: Place, nodes: Sequence[Place], tasks: int) -> Iterator[str]:
    """The keys whose values no node can meet, with the largest that are possible."""
    cpus, gpus = max(node.cpus for node in nodes), max(node.gpus for node in nodes)
    memory = max(node.memory for node in nodes)
    limits = [node.minutes for node in nodes if node.minutes is not None]
    if asked.cpus > cpus:
        yield f"hydra.launcher.cpus_per_task={max(1, cpus // max(1, tasks))}"
    if asked.memory > memory:
        yield f"hydra.launcher.mem_gb={int(memory / 1024)}"
    if asked.gpus > gpus:
        yield f"hydra.launcher.gpus_per_node={gpus or 'null'}"
    if len(limits) == len(nodes) and (asked.minutes is None or asked.minutes > max(limits)):
        yield f"hydra.launcher.timeout_min={max(limits)}"
    if asked.nodes > len(nodes):
        yield f"hydra.launcher.nodes={len(nodes)}"
    if not asked.features <= frozenset().union(*(node.features for node in nodes)):
        yield "hydra.launcher.constraint=null"


def _number(text: str) -> int:
    match = re.match(r"\d+", text)
    return int(match[0]) if match else 0


def _megabytes(text: str) -> float:
    match = re.match(r"([\d.]+)([KMGT]?)", text)
    return float(match[1]) * _UNITS[match[2] or "M"] if match else 0.0


def _gpus(text: str) -> int:
    """The number in texts such as gres:gpu:2, gres/gpu=2 or gpu:a100:4(S:0-1)."""
    return sum(int(count or 1) for count in re.findall(r"\bgpu(?:[:=][a-zA-Z][\w.-]*)?(?:[:=](\d+))?", text))


def _minutes(text: str) -> int | None:
    """The minutes of a time such as 1-12:00:00, 4:00:00 or 30:00; None without a limit."""
    match = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)", text)
    if match is None:
        return None
    days, hours, minutes, _ = (int(part or 0) for part in match.groups())
    return 60 * (24 * days + hours) + minutes
