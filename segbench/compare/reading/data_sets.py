"""Data sets of one name: the same runs on several folders are runs on several data sets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from segbench.compare.reading.runs import Run


def told_apart(runs: Sequence[Run]) -> list[Run]:
    """Runs whose data sets have different names, where one configuration was run on several of one name.

    Only then are they meant to be several. Where the images of two methods differ, the comparison refuses them.
    """
    roots: dict[str, dict[str, str]] = defaultdict(dict)
    prints: dict[tuple[str, str], set[str]] = defaultdict(set)
    for run in runs:
        prints[run.dataset, run.id].add(run.fingerprint)
    several = {dataset for (dataset, _), found in prints.items() if len(found) > 1}
    for run in runs:
        if run.dataset in several and run.fingerprint not in roots[run.dataset]:
            roots[run.dataset][run.fingerprint] = str((run.config.get("data") or {}).get("root") or "")
    names = {dataset: _names(dataset, of_print) for dataset, of_print in roots.items()}
    return [
        replace(run, data_name=names[run.dataset][run.fingerprint]) if run.dataset in several else run for run in runs
    ]


def _names(dataset: str, roots: Mapping[str, str]) -> dict[str, str]:
    """The last parts of the paths to the data, as many as differ; a hash of the content where paths do not.

    Args:
        dataset: the name that they have in common.
        roots: the path of each, by fingerprint.
    """
    parts = {fingerprint: [part for part in Path(root).parts if part != "/"] for fingerprint, root in roots.items()}
    for length in range(2, max(map(len, parts.values())) + 1):
        names = {fingerprint: "/".join(of_path[-length:]) for fingerprint, of_path in parts.items()}
        if len(set(names.values())) == len(names):
            return names
    return {fingerprint: f"{dataset} ({fingerprint[:6]})" for fingerprint in roots}
