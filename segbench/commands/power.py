"""The command `power`: cases, seeds, folds and hours that it takes to find a difference, from the runs of a pilot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig, ListConfig
from rich.console import Console
from rich.table import Table

from segbench.compare.statistics.planning import Chance, cases_needed, detectable
from segbench.config.schema import require
from segbench.errors import UserError

if TYPE_CHECKING:
    from segbench.compare.reading.methods import Loaded
    from segbench.compare.statistics.components import Components


@dataclass(frozen=True)
class Design:
    """A plan for a comparison, and what it finds.

    Attributes:
        seeds: of each method.
        folds: of a cross-validation that tests every case once; 1: the test cases of the pilot.
        cases: that are tested.
        difference: the smallest that is found.
        hours: of training, of all methods; NaN where the pilot does not say.
        cases_needed: cases that the difference asked for takes, None where cases alone do not do.
    """

    seeds: int
    folds: int
    cases: int
    difference: float
    hours: float
    cases_needed: int | None


def power(config: DictConfig) -> None:
    """Print what the difference asked for takes; see conf/power.yaml.

    Raises:
        UserError: where the pilot cannot be read, or has too few cases.
    """
    console = Console()
    wanted = float(require(config, "difference"))
    level = (1 - float(config.confidence)) / int(config.tests)
    for pilot, loaded in _pilots(config):
        chance = pilot.chance if config.seed_sd is None else replace(pilot.chance, seeds=float(config.seed_sd))
        show(console, pilot, chance, designs(pilot, chance, loaded, config, level), wanted, config)


def _pilots(config: DictConfig) -> list[tuple[Components, Loaded]]:
    """The components of variance of each data set of the pilot.

    Raises:
        UserError: where it cannot be read, or has too few cases.
    """
    from segbench.compare.reading.methods import Rules, load_runs, load_table
    from segbench.compare.statistics.components import components
    from segbench.runs.discovery import find_runs

    if (config.runs is None) == (config.scores is None):
        raise UserError("say what the pilot is: either runs=DIR or scores=FILE")
    if config.scores is not None:
        loaded = load_table(
            Path(str(config.scores)), [str(config.metric)] if config.metric else [], Rules(better="larger")
        )
    else:
        places = [str(p) for p in config.runs] if isinstance(config.runs, ListConfig) else [str(config.runs)]
        loaded = load_runs(find_runs(places), Rules(strict=False))
    metric = str(config.metric or loaded.sets[0].metrics[0])
    found = []
    for scores in loaded.sets:
        if metric not in scores.metrics:
            known = ", ".join(scores.metrics)
            raise UserError(f"metric={metric}: data set '{scores.dataset}' has no such scores, only {known}")
        of_set = components(scores, metric) if scores.split == "test" else None
        if of_set is not None:
            found.append((of_set, loaded))
    if not found:
        raise UserError(
            "the pilot has fewer than three cases in which all methods have a score: nothing can be planned"
        )
    return found


def designs(pilot: Components, chance: Chance, loaded: Loaded, config: DictConfig, level: float) -> list[Design]:
    """Every number of seeds asked for, with the pilot's test cases and with every number of folds."""
    runs = [run for method in loaded.methods for run in method.runs if run.dataset == pilot.dataset]
    hours = sum(method.cost("train_seconds") for method in loaded.methods) / 3600
    sizes = [run.record["dataset"]["cases"] for run in runs]
    tested = max((size["test"] for size in sizes), default=1)
    everything = round(max((sum(size.values()) for size in sizes), default=0) * pilot.units / tested)
    found = []
    for folds in config.folds:
        cases = pilot.units if folds == 1 else everything
        for seeds in config.seeds if cases else []:
            found.append(
                Design(
                    seeds=int(seeds),
                    folds=int(folds),
                    cases=cases,
                    difference=detectable(chance, cases, int(seeds), level, float(config.power)),
                    hours=hours * int(seeds) * int(folds),
                    cases_needed=cases_needed(chance, float(config.difference), int(seeds), level, float(config.power)),
                )
            )
    return found


def show(
    console: Console, pilot: Components, chance: Chance, found: Sequence[Design], wanted: float, config: DictConfig
) -> None:
    """Print what was learnt from the pilot, and a line for each plan."""
    parts = [f"{pilot.units} cases", f"SD {pilot.spread:.3g}", f"r = {pilot.correlation:.2f} between methods"]
    if chance.seeds:
        parts.append(f"SD between seeds {chance.seeds:.3g}")
    console.print(f"{pilot.dataset}, {pilot.metric}: {', '.join(parts)}", highlight=False, soft_wrap=True)
    table = Table(header_style="bold")
    for heading in ("seeds", "folds", "cases", "finds a difference of", f"cases for {wanted:g}", "GPU hours"):
        table.add_column(heading, justify="right")
    for design in found:
        enough = design.difference <= wanted
        needed = "not by cases alone" if design.cases_needed is None else f"{design.cases_needed:,}"
        hours = "–" if design.hours != design.hours else f"{design.hours:.3g}"
        cells = (str(design.seeds), str(design.folds), f"{design.cases:,}", f"{design.difference:.2g}", needed, hours)
        table.add_row(*cells, style="green" if enough else None)
    console.print(table)
    share = f"{100 * float(config.power):g} % of the time, at {1 - float(config.confidence):.2g}"
    console.print(f"found: {share}" + (f" over {config.tests} tests" if config.tests > 1 else ""), highlight=False)
    if not chance.seeds and not chance.rest:
        console.print(
            "note: one seed of each in the pilot, so this is of its trained networks; seed_sd=0.005 says by how much"
            " the mean of a method may differ from seed to seed",
            highlight=False,
            soft_wrap=True,
        )
