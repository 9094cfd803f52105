"""What a person at a terminal is shown of a run."""

from __future__ import annotations

import math

import pandas as pd
from rich.console import Console
from rich.table import Table

from segbench.rundir import RunDirectory, read_cases


def show_run(directory: RunDirectory, console: Console | None = None) -> None:
    """Prints the scores per class, the cost, and where everything is."""
    console = console or Console()
    show_cases(read_cases(directory.cases), f"{directory.record['name']}: mean over the test cases", console)
    cost = directory.record["cost"]
    console.print(
        f"{cost['parameters'] / 1e6:.2f} M parameters, {cost['flops'] / 1e9:.1f} GFLOPs per patch,"
        f" {cost['seconds_per_case']:.3g} s per case, trained {cost['train_seconds']:.0f} s"
        f" in {directory.record['precision']['used']}",
        soft_wrap=True,
    )
    console.print(f"run directory  {directory.path}", soft_wrap=True, highlight=False)
    for picture in ("best.png", "median.png", "worst.png"):
        path = directory.path / "previews" / picture
        if path.exists():
            console.print(f"preview        {path}", soft_wrap=True, highlight=False)


def show_cases(cases: pd.DataFrame, title: str, console: Console) -> None:
    """Prints a table of scores: a row per class, a column per metric, the mean over cases in each cell.

    Metrics that do not fit the terminal's width are left to `cases.csv`.
    """
    means = cases.groupby(["class", "metric"], sort=False)["value"].mean().unstack()[cases["metric"].unique()]
    counts = cases.groupby("class", sort=False)["case"].nunique()
    objects = means.loc[means.index == "objects"].dropna(axis=1, how="all")
    classes = means.loc[means.index != "objects"].dropna(axis=1, how="all")
    metrics = _fitting(
        [str(metric) for metric in classes.columns], max(map(len, classes.index)), console.width
    )
    table = Table(title=title, title_justify="left", header_style="bold")
    table.add_column("class")
    table.add_column("cases", justify="right")
    for metric in metrics:
        table.add_column(metric.replace("_", " "), justify="right")
    for name, row in classes.iterrows():
        table.add_row(str(name), str(counts[name]), *(_number(row[metric]) for metric in metrics))
    if len(classes) > 1:
        table.add_section()
        table.add_row("mean", "", *(_number(classes[metric].mean()) for metric in metrics))
    console.print(table)
    if len(objects):
        wanted = (
            "object_f1_50",
            "object_f1_75",
            "average_precision",
            "panoptic_quality",
            "object_dice",
            "count_error",
        )
        shown = [metric for metric in wanted if metric in objects.columns]
        text = ", ".join(f"{metric.replace('_', ' ')} {_number(objects[metric].iloc[0])}" for metric in shown)
        console.print(f"objects: {text}", highlight=False, soft_wrap=True)


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
