"""The compared runs: every difference between the configurations, and every run with its state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from segbench.compare.reading.methods import Loaded, Method
from segbench.compare.reading.naming import differences
from segbench.compare.reading.runs import Run
from segbench.compare.report.page.markup import join, tag
from segbench.compare.report.page.tables import cell, sortable
from segbench.compare.report.tables import seconds


def difference_section(methods: Sequence[Method]) -> Markup | None:
    """A line for each setting that differs, a column for each method."""
    runs = [run for method in methods for run in method.runs]
    table = differences(runs)
    if not table:
        return None
    owner = [k for k, method in enumerate(methods) for _ in method.runs]
    rows = []
    for key, values in table.items():
        of_method = [
            dict.fromkeys(_shown(v) for v, k in zip(values, owner, strict=True) if k == number)
            for number in range(len(methods))
        ]
        rows.append(
            tag(
                "tr",
                tag("th", key, scope="row", data_value=key),
                [cell(" | ".join(v), " | ".join(v)) for v in of_method],
            )
        )
    hint = (
        f"{len(table)} choices and settings differ between the runs, seeds, folds, paths and devices aside; several"
        " values in a cell differ within the method."
    )
    return join(
        tag("p", hint, class_="hint"),
        sortable(["setting", *(m.name for m in methods)], rows, texts=1 + len(methods)),
    )


def run_section(loaded: Loaded) -> Markup | None:
    """Every run found, finished or not."""
    if not any(method.runs for method in loaded.methods):
        return None
    rows = [_run_row(method.name, run) for method in loaded.methods for run in method.runs]
    for run in loaded.unfinished:
        rows.append(
            tag(
                "tr",
                cell("–"),
                cell(run.path.name, run.path.name),
                cell(run.reason, run.reason, colspan=7),
                class_="unfinished",
            )
        )
    heads = ["method", "run", "data set", "seed", "fold", "steps", "precision", "training (s)", "W&B"]
    return sortable(heads, rows, texts=3)


def _run_row(method: str, run: Run) -> Markup:
    record = run.record
    budget, cost = record["budget"], record.get("cost", {})
    precision = record.get("precision", {}).get("used", "–")
    train = float(cost.get("train_seconds") or "nan")
    address = run.address
    link = tag("a", record.get("wandb_id"), href=address) if address else record.get("wandb_id", "–")
    return tag(
        "tr",
        cell(method, method),
        cell(run.name, run.name, title=str(run.path)),
        cell(run.dataset, run.dataset),
        cell(record["seed"], record["seed"]),
        cell(record["fold"], record["fold"]),
        cell(budget.get("max_steps", "–"), budget.get("max_steps")),
        cell(precision, precision),
        cell(seconds(train), train),
        cell(link),
    )


def _shown(value: Any) -> str:
    return "–" if value is None else str(value)
