"""The command `compare`, and the comparison at the end of a sweep."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from segbench.compare.request import Request
from segbench.errors import UserError
from segbench.runs.sweep_record import read_asked
from segbench.runs.uploads import COMPARISON

if TYPE_CHECKING:
    from rich.console import Console

    from segbench.compare.reading.elsewhere import Elsewhere
    from segbench.compare.reading.methods import Loaded
    from segbench.compare.statistics.comparison import Comparison

LONG_NOTES = 12


def compare(config: DictConfig) -> None:
    """Compare what the configuration names; see conf/compare.yaml.

    Raises:
        UserError: if it cannot be compared; nothing is written then.
    """
    execute(Request.parse(config), config.get("metrics"))


def compare_sweep(folder: Path, settings: DictConfig | None = None) -> None:
    """Compare the runs of a sweep into `comparison/` of its folder; say in one line why not, where it cannot.

    The comparison is published to W&B where the runs were.

    Args:
        folder: the sweep's.
        settings: keys of conf/compare.yaml except for the runs, scores and output.
    """
    from segbench.compare.reading.runs import read_runs
    from segbench.runs.discovery import find_runs

    try:
        runs, _ = read_runs(find_runs(str(folder)))
        logged = any(run.wandb for run in runs)
        request = Request() if settings is None else Request.of_settings(settings)
        output, publish = folder / COMPARISON, "wandb" if logged else request.publish
        execute(replace(request, runs=(str(folder),), output=output, publish=publish))
    except UserError as error:
        from rich.console import Console

        Console().print(f"no comparison: {error}", soft_wrap=True, highlight=False, markup=False)


def execute(request: Request, metrics: DictConfig | None = None) -> Comparison:
    """Compare the methods, write and show the result, and publish it.

    Args:
        request: what is compared, and how.
        metrics: of masks where there are no runs; None: the standard ones.

    Raises:
        UserError: if something is wrong with the request or what it names.
    """
    from rich.console import Console

    from segbench.compare.report.outputs import write_outputs

    console = Console()
    loaded = load(request, metrics)
    _check_output(request.output, loaded, request.scores)
    with _progress(console, request.bootstraps) as progress:
        comparison, loaded = compared(request, loaded, progress)
    write_outputs(request.output, comparison, loaded, request)
    _show(console, comparison, loaded, request)
    if request.publish == "tensorboard":
        from segbench.compare.report.tensorboard import write_events

        console.print(f"events    {write_events(comparison, request.output)}", soft_wrap=True, highlight=False)
    elif request.publish is not None:
        from segbench.compare.report.upload import publish

        console.print(f"W&B       {publish(comparison, loaded, request)}", soft_wrap=True, highlight=False)
    return comparison


def load(request: Request, metrics: DictConfig | None = None) -> Loaded:
    """The methods, scores, costs and subgroups that a request names; arguments are those of `execute`."""
    from segbench.compare.reading.methods import with_costs
    from segbench.compare.reading.subgroups import read_subgroups

    loaded = replace(_load(request, metrics), places=request.places)
    if request.costs is not None:
        loaded = with_costs(loaded, request.costs)
    return replace(loaded, subgroups=read_subgroups(request.subgroups, loaded.sets))


def compared(
    request: Request, loaded: Loaded, progress: Callable[[str, int], None] = lambda *_: None
) -> tuple[Comparison, Loaded]:
    """The comparison, and what was loaded with the notes that follow from it.

    Args:
        request: how to compare.
        loaded: what.
        progress: told of the resamples that are done.
    """
    from segbench.compare.report.annotators import reversal_sentence
    from segbench.compare.report.metric_choice import metric_warnings
    from segbench.compare.statistics.comparison import Settings, compare_scores
    from segbench.compare.statistics.references import orders_by_reference, reversals
    from segbench.compare.statistics.subgroups import subgroup_notes, subgroup_tests

    settings = Settings(
        metrics=request.metric or loaded.sets[0].metrics[:1],
        ranking=request.ranking,
        ties=request.ties,  # type: ignore[arg-type]
        cuts=request.cuts,
        confidence=request.confidence,
        bootstraps=request.bootstraps,
        seed=request.seed,
        relevant=request.relevant,
        baseline=request.baseline,
        weights=request.weights,
    )
    comparison = compare_scores(loaded.sets, settings, progress)
    orders = orders_by_reference(comparison, loaded.references)
    differing = [reversal_sentence(reversals(orders))] if len(orders) else []
    differing += subgroup_notes(subgroup_tests(comparison, loaded.subgroups), comparison.settings.level)
    return comparison, replace(loaded, notes=[*loaded.notes, *metric_warnings(comparison, loaded), *differing])


def _load(request: Request, metrics: DictConfig | None) -> Loaded:
    from segbench.compare.reading.methods import load_methods, load_table, read_methods
    from segbench.compare.reading.nnunet import read_models
    from segbench.compare.reading.places import MASKS, of_kinds
    from segbench.compare.reading.tables import read_table
    from segbench.runs.discovery import find_runs

    if request.scores is not None:
        return load_table(request.scores, request.metric, request.rules)
    folders = [place.path for place in of_kinds(request.runs, "runs")]
    directories = find_runs(folders) if folders else []
    for place in of_kinds(request.runs, "wandb"):
        from segbench.compare.reading.wandb_runs import fetch_runs

        directories += fetch_runs(place.path)
    trained = read_methods(directories, request.rules) if directories else None
    tables: list[Elsewhere] = []
    results = of_kinds(request.runs, "nnunet")
    masks = of_kinds(request.runs, *MASKS)
    if results or masks:
        from segbench.commands.masks_elsewhere import has_masks, score_masks

        known = trained is not None or request.masks.reference is not None
        with_masks = [place for place in results if known and has_masks(place)]
        if masks or with_masks:
            tables += score_masks([*masks, *with_masks], trained, request.masks, metrics)
        tables += [read_models(place) for place in results if place not in with_masks]
    tables += [read_table(place, request.metric) for place in of_kinds(request.runs, "table")]
    return load_methods(trained, tables, request.rules, request.metric)


def _check_output(output: Path, loaded: Loaded, scores: Path | None) -> None:
    """Leave a sweep's own comparison to its own runs, and what is compared where it is.

    Raises:
        UserError: where runs of other folders are compared too, or the output would replace what is compared.
    """
    inputs = [run.path for method in loaded.methods for run in method.runs] + ([scores] if scores is not None else [])
    inputs += loaded.elsewhere
    for path in inputs:
        if path.resolve().is_relative_to(output.resolve()):
            raise UserError(f"output={output}: holds {path}, which is compared; name another folder")
    sweep = output.absolute().parent
    if output.name == COMPARISON and read_asked(sweep):
        for method in loaded.methods:
            for run in method.runs:
                if not run.path.resolve().is_relative_to(sweep.resolve()):
                    raise UserError(f"output={output}: is for the runs of {sweep} alone, and not for {run.path};"
                                    " name another folder")  # fmt: skip


def _show(console: Console, comparison: Comparison, loaded: Loaded, request: Request) -> None:
    """The table, the verdict and the notes."""
    from segbench.compare.report.relative import relative_table
    from segbench.compare.report.render import terminal
    from segbench.compare.report.tables import comparison_table, metric_name
    from segbench.compare.statistics.verdict import judge

    metrics = comparison.settings.metrics
    title = f"Ranked by {comparison.settings.ranking.replace('_', ' ')} of {', '.join(map(metric_name, metrics))}"
    console.print(
        terminal(comparison_table(comparison, loaded.methods, metrics, request.form.uncertainty), console.width, title)
    )
    if request.baseline is not None:
        relative = relative_table(comparison, request.baseline, metrics[0])
        console.print(terminal(relative, console.width, f"Relative to {request.baseline}"))
    notes = [*loaded.notes, *comparison.notes]
    for note in notes[:LONG_NOTES]:
        console.print(f"note: {note}", soft_wrap=True, highlight=False, markup=False)
    if len(notes) > LONG_NOTES:
        console.print(f"and {len(notes) - LONG_NOTES} more notes in the report")
    console.print(judge(comparison).sentence, style="bold", soft_wrap=True, highlight=False, markup=False)
    console.print(f"report    {request.output / 'report.html'}", soft_wrap=True, highlight=False, markup=False)


@contextmanager
def _progress(console: Console, draws: int) -> Iterator[Callable[[str, int], None]]:
    """Show a bar for each ranking rule that is resampled, gone when all are."""
    from rich.progress import Progress, TaskID

    with Progress(console=console, transient=True, disable=not console.is_terminal) as bars:
        tasks: dict[str, TaskID] = {}

        def advance(rule: str, done: int) -> None:
            if rule not in tasks:
                tasks[rule] = bars.add_task(f"resampling, {rule.replace('_', ' ')}", total=draws)
            bars.update(tasks[rule], completed=done)

        yield advance
