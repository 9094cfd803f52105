"""The scores of a run on the terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd
from rich.console import Console
from rich.table import Table

from segbench.metrics.score import OBJECTS
from segbench.runs.criterion import Criterion, best_score
from segbench.runs.directory import RunDirectory, read_cases


def show_run(directory: RunDirectory, console: Console | None = None) -> None:
    """Print the scores per class, the cost, and where everything is."""
    console = console or Console()
    if directory.status == "pruned":
        training, score = directory.record["training"], best_score(directory.record)
        result = "" if score is None else f" with a validation {Criterion.of(directory.record).label} of {score:.3f}"
        console.print(
            f"{directory.record['name']}: ended early by its search, at step {training['steps']}{result}",
            soft_wrap=True,
            highlight=False,
        )
        return
    show_cases(read_cases(directory.cases), f"{directory.record['name']}: mean over the test cases", console)
    cost = directory.record["cost"]
    operations = "" if cost["flops"] is None else f"{cost['flops'] / 1e9:.1f} GFLOPs per patch, "
    console.print(
        f"{cost['parameters'] / 1e6:.2f} M parameters, {operations}"
        f"{cost['seconds_per_case']:.3g} s per case, trained {cost['train_seconds']:.0f} s"
        f" in {directory.record['precision']['used']}",
        soft_wrap=True,
    )
    console.print(f"run directory  {directory.path}", soft_wrap=True, highlight=False)
    for picture in ("best.png", "median.png", "worst.png"):
        path = directory.path / "previews" / picture
        if path.exists():
            console.print(f"preview        {path}", soft_wrap=True, highlight=False)


def show_cases(cases: pd.DataFrame, title: str, console: Console) -> None:
    """Print the mean over cases: a row per class, a column per metric; another table for objects.

    Metrics that do not fit the terminal's width are left to `cases.csv`.
    """
    means = cases.groupby(["class", "metric"], sort=False)["value"].mean().unstack()[cases["metric"].unique()]
    counts = {str(name): count for name, count in cases.groupby("class")["case"].nunique().items()}
    of_objects = means.index == OBJECTS
    for part, heading in ((means[~of_objects], title), (means[of_objects], "objects")):
        if len(part):
            known = part.dropna(axis=1, how="all")
            console.print(_table(known if len(known.columns) else part, counts, heading, console.width))


def _table(means: pd.DataFrame, counts: Mapping[str, int], title: str, width: int) -> Table:
    """A table of the metrics that fit a width in characters."""
    names = [str(name) for name in means.index]
    metrics = _fitting([str(metric) for metric in means.columns], max(map(len, names)), width)
    table = Table(title=title, title_justify="left", header_style="bold")
    table.add_column("class")
    table.add_column("cases", justify="right")
    for metric in metrics:
        table.add_column(metric.replace("_", " "), justify="right")
    for name, values in zip(names, means[metrics].to_numpy(), strict=True):
        table.add_row(name, str(counts[name]), *map(_number, values))
    if len(names) > 1:
        table.add_section()
        table.add_row("mean", "", *map(_number, means[metrics].mean()))
    return table


def _fitting(metrics: list[str], class_width: int, width: int) -> list[str]:
    """As many of the metrics, in their order, as fit beside the columns of classes and case counts."""
    used = class_width + len("cases") + 8
    shown = []
    for metric in metrics:
        used += max(len(metric), 5) + 3
        if used > width:
            break
        shown.append(metric)
    return shown


def _number(value: float) -> str:
    return "absent" if math.isnan(value) else f"{value:.3f}" if abs(value) < 100 else f"{value:.0f}"
