"""The command `prepare`: the source of a data set, what is there, and whether it can be trained on."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from segbench.data.case import Dataset, Source, shape_text
from segbench.data.case_meta import CaseMeta
from segbench.data.configured import dataset_of
from segbench.data.labels.object_remarks import unnumbered_objects
from segbench.data.labels.structures import measure_structures
from segbench.data.metric_advice import advise
from segbench.data.series import hint
from segbench.data.store import CaseStore
from segbench.training.pretrained import fetch_weights


def prepare(config: DictConfig) -> None:
    """Describe a data set, decode all of it into the cache, and print a summary and what looks wrong.

    Args:
        config: a configuration with `data`, of which `root`, `cache` and `dataset` count; with a `model`, its
            trained weights are downloaded first.

    Raises:
        UserError: where the data set is not there, or one of its files is bad.
    """
    console = Console()
    if "model" in config:
        fetch_weights(config, console)
    dataset = dataset_of(config.data)
    # Before anything is read: whoever lacks the files needs this most.
    console.print(_facts(dataset.name, _source(dataset.source, config.data.root)))
    store = CaseStore(dataset, config.data.cache)
    cases = [store.meta(case_id) for case_id in store.ids]
    console.print(
        _facts("Found", _summary(dataset, cases) | {"cache": str(store.folder), "fingerprint": store.fingerprint})
    )
    console.print(_class_table(dataset, cases))
    for remark in [*dataset.remarks, *_counts(dataset, cases)]:
        console.print(f"note: {remark}", highlight=False)
    for choice in advise(measure_structures(dataset, store)):
        console.print(f"metrics: {choice.sentence}", highlight=False)
    found = problems(dataset, cases)
    if dataset.has_instances and (doubt := unnumbered_objects(store, store.ids)):
        found.append(doubt)
    if (advice := hint(dataset, store)) is not None:
        found.append(advice)
    for problem in found:
        console.print(f"[yellow]warning:[/yellow] {problem}", highlight=False)
    if not found:
        console.print("[green]ready[/green]: every file was read, and nothing looks wrong")


def _counts(dataset: Dataset, cases: Sequence[CaseMeta]) -> list[str]:
    """Compare the number of cases with the published one, in a sentence for each part."""
    sentences = []
    for part, published in dataset.published.items():
        found = sum(case.part == part for case in cases) if part else len(cases)
        what = f"{part} cases" if part else "cases"
        if found == published:
            sentences.append(f"all {published} {what} that were published are there")
        else:
            sentences.append(f"{found} {what} are there, {published} were published")
    return sentences


def problems(dataset: Dataset, cases: Sequence[CaseMeta]) -> list[str]:
    """Defects of the data that do not stop a run but spoil its result, one sentence each.

    A class that no case has; the same image in several groups, which can then be trained on and
    tested; a group with cases in several of the data set's own parts.
    """
    found = []
    pixels = np.sum([case.pixels for case in cases], axis=0)
    found += [f"no case has the class {name}" for name, count in zip(dataset.classes, pixels, strict=True) if not count]
    for same in _several(cases, key="image_digest", of="group"):
        found.append(f"the cases {_names(case.id for case in same)} have the same image, but not the same group")
    for same in _several(cases, key="group", of="part"):
        parts = _names({str(case.part) for case in same})
        found.append(f"the group {same[0].group} has cases in several parts: {parts}")
    return found


def _several(cases: Iterable[CaseMeta], key: str, of: str) -> list[list[CaseMeta]]:
    """The sets of cases that agree in one attribute and differ in another."""
    sets: dict[object, list[CaseMeta]] = defaultdict(list)
    for case in cases:
        sets[getattr(case, key)].append(case)
    return [same for same in sets.values() if len({getattr(case, of) for case in same}) > 1]


def _names(values: Iterable[str], most: int = 5) -> str:
    names = sorted(values)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _source(source: Source, root: str | None) -> dict[str, str]:
    facts = {"download": source.address, "licence": source.licence, "cite": source.citation}
    if root is not None:
        facts |= {
            "expected": source.layout,
            "in folder": f"{root} (data.root; by default below SEGBENCH_DATA)",
        }
    return facts


def _summary(dataset: Dataset, cases: Sequence[CaseMeta]) -> dict[str, str]:
    """Facts about the cases in words and numbers."""
    parts = Counter(case.part or "dealt by folds" for case in cases)
    sizes = Counter(case.shape[1:] for case in cases)
    channels = [channel for case in cases for channel in case.intensities]
    facts = {
        "cases": f"{len(cases)} in {len({case.group for case in cases})} groups",
        "parts": ", ".join(f"{part} {count}" for part, count in parts.items()),
        "sizes": ", ".join(f"{shape_text(size)} ({count})" for size, count in sizes.most_common(5))
        + (f" and {len(sizes) - 5} more" if len(sizes) > 5 else ""),
        "channels": f"{dataset.channels}, {' and '.join(sorted({case.dtype for case in cases}))}",
        "intensities": f"{min(c.minimum for c in channels):g} to {max(c.maximum for c in channels):g}, "
        f"mean {np.mean([c.mean for c in channels]):.4g}",
        "spacing": _spacing_text([case.spacing for case in cases]),
    }
    objects = [case.objects for case in cases if case.objects is not None]
    if objects:
        facts["instances"] = f"{sum(objects)}; {min(objects)} to {max(objects)} per case, median {np.median(objects):g}"
    return facts


def _spacing_text(spacings: Sequence[tuple[float, ...]]) -> str:
    """Size of the pixels: "0.5 x 0.5", or from the least to the greatest along each axis."""
    ranges = [(min(sizes), max(sizes)) for sizes in zip(*spacings, strict=True)]
    axes = [f"{least:g}" if least == most else f"{least:g} to {most:g}" for least, most in ranges]
    count = len(set(spacings))
    return " x ".join(axes) + (f" ({count} different ones)" if count > 1 else "")


def _class_table(dataset: Dataset, cases: Sequence[CaseMeta]) -> Table:
    table = Table("class", "name", "share of pixels", "in cases")
    pixels = np.sum([case.pixels for case in cases], axis=0)
    total = int(pixels.sum()) + sum(case.ignored for case in cases)
    for index, name in enumerate(dataset.classes):
        present = sum(index in case.present for case in cases)
        note = " (left out of scores)" if index == dataset.background else ""
        table.add_row(str(index), name + note, f"{pixels[index] / total:.2%}", str(present))
    ignored = [case.ignored for case in cases if case.ignored]
    if ignored:
        table.add_row("255", "ignored", f"{sum(ignored) / total:.2%}", str(len(ignored)))
    return table


def _facts(title: str, facts: dict[str, str]) -> Table:
    table = Table(title=title, show_header=False, box=None, title_justify="left", title_style="bold")
    for name, value in facts.items():
        table.add_row(name, value)
    return table
