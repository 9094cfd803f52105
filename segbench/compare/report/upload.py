"""The comparison as a run of Weights & Biases, beside the runs that it compares."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from segbench.compare.reading.methods import Loaded
from segbench.compare.report.frames import cost_frame, rank_frame, score_frame
from segbench.compare.report.outputs import FIGURES, SUMMARY, summary
from segbench.compare.report.wandb_pages import Text, save_project_workspace, save_report, save_workspace
from segbench.compare.request import Request
from segbench.compare.statistics.comparison import TOTAL, Comparison
from segbench.compare.statistics.scores import MEAN_OF_CLASSES
from segbench.compare.statistics.verdict import judge
from segbench.errors import UserError, as_line
from segbench.runs.uploads import COMPARE_JOB, COMPARISON_NOTE, GROUP_LENGTH, Destination, digest, read_note, write_note

if TYPE_CHECKING:
    import wandb

LONGEST = 10_000
"""Lines that W&B shows of a table; all are in the artifact."""
DEFAULT_PROJECT = "segbench"
TAG_LENGTH = 64
"""W&B refuses longer tags."""
START, CLOSE = 15.0, 60.0
"""Seconds to wait for W&B to begin a run, and to take the rest of it."""


def publish(comparison: Comparison, loaded: Loaded, request: Request) -> str:
    """Log tables, figures, report and CSV files as a run of job type `compare` in the group of its runs.

    Args:
        comparison: the result.
        loaded: its methods and runs.
        request: where its outputs are, and where in W&B they go.

    Returns:
        The address of the run, or the folder of its offline files.

    Raises:
        UserError: if W&B refuses or cannot be reached; the outputs on disk are complete then.
    """
    import wandb

    from segbench.loggers import wandb_access

    place, names = destination(loaded, request), compared(loaded)
    try:
        if place["mode"] == "online" and not wandb_access.reachable(START):
            place["mode"] = "offline"  # `segbench publish` uploads it
        note = request.output.parent / Path(COMPARISON_NOTE).with_stem(request.output.name)
        before = read_note(note).get("run") if place["mode"] == "online" else None
        run = wandb.init(
            **place,
            id=before,
            resume="allow" if before else None,  # the same comparison with more runs
            job_type=COMPARE_JOB,
            name=title(names),
            tags=[name[:TAG_LENGTH] for name in names],
            dir=str(request.output.parent),
            config=_config(comparison, loaded, request, names),
            settings=wandb_access.quiet_settings(
                x_disable_stats=True, init_timeout=START, finish_timeout=CLOSE, finish_timeout_raises=True
            ),
        )
        failed = True
        try:
            _log(
                run, comparison, _tables(comparison, loaded, title(names)), summary(comparison, loaded), request.output
            )
            failed = False
        finally:
            run.finish(exit_code=1 if failed else 0)
        _save_pages(str(run.id), place, names, comparison, loaded, request)
    except (wandb.errors.Error, OSError) as error:
        complete = f"tables and report are complete in {request.output}"
        raise UserError(f"publish=wandb: {as_line(error)}; {complete}") from error
    if run.offline:
        return str(Path(run.dir).parent)
    content = digest(request.output.name, [request.output / SUMMARY])
    write_note(note, content, Destination(), wandb_access.server_address(), str(run.url), run.id)
    return str(run.url)


def destination(loaded: Loaded, request: Request) -> dict[str, Any]:
    """Project, entity, group and mode: as asked for, else what most of the runs have; of several groups all names."""
    runs = [run for method in loaded.methods for run in method.runs]

    def common(key: str) -> str | None:
        counts = Counter(value for run in runs if (value := run.wandb.get(key)))
        return counts.most_common(1)[0][0] if counts else None

    asked = request.wandb
    return {
        "project": asked.project or common("project") or DEFAULT_PROJECT,
        "entity": asked.entity or common("entity"),
        "group": asked.group or "+".join(groups(loaded))[:GROUP_LENGTH],
        "mode": asked.mode or os.environ.get("WANDB_MODE") or common("mode") or "offline",
    }


def groups(loaded: Loaded) -> list[str]:
    """The groups in W&B of the runs: the one they were logged in, else the name of their sweep's folder."""
    runs = [run for method in loaded.methods for run in method.runs]
    return sorted({run.wandb.get("group") or run.path.absolute().parent.name for run in runs})


def compared(loaded: Loaded) -> list[str]:
    """Names of all that is compared: the places that were given, or groups of runs, where these are more."""
    known, places = groups(loaded), list(loaded.places)
    return places if len(places) >= max(len(known), 2) else known


def title(names: Sequence[str]) -> str:
    """The name of a comparison: "comparison of A, B and C"."""
    if len(names) < 2:
        return " of ".join(["comparison", *names])
    return f"comparison of {', '.join(names[:-1])} and {names[-1]}"


def _save_pages(
    run: str, place: Mapping[str, Any], names: Sequence[str], comparison: Comparison, loaded: Loaded, request: Request
) -> None:
    """Save the workspace and the report that were asked for."""
    asked, tables = request.wandb, list(_tables(comparison, loaded, ""))
    if asked.workspace == "project":
        save_project_workspace(place, comparison.methods)
    elif asked.workspace:
        save_workspace(place, tables, _figures(request.output), title(names))
    if asked.report:
        notes = [*loaded.notes, *comparison.notes]
        text = Text(title(names), judge(comparison).sentence, notes)
        save_report(place, run, text, tables, _figures(request.output))


def _config(comparison: Comparison, loaded: Loaded, request: Request, names: Sequence[str]) -> dict[str, Any]:
    settings = comparison.settings
    return {
        "compared": list(names),
        "groups": groups(loaded),
        "runs": [run.id for method in loaded.methods for run in method.runs],
        "elsewhere": [str(path) for path in loaded.elsewhere],
        "metric": list(settings.metrics),
        "ranking": settings.ranking,
        "ties": settings.ties,
        "bootstraps": settings.bootstraps,
        "confidence": settings.confidence,
        "strict": request.rules.strict,
        "missing": request.rules.missing,
        "methods": list(comparison.methods),
        "data_sets": [scores.name for scores in comparison.sets],
    }


def _log(
    run: wandb.Run, comparison: Comparison, frames: Mapping[str, pd.DataFrame], facts: Mapping[str, Any], output: Path
) -> None:
    import wandb

    tables = {name: wandb.Table(dataframe=frame) for name, frame in frames.items()}
    figures = {name: wandb.Image(str(output / f"{name}.png")) for name in _figures(output)}
    report = wandb.Html((output / "report.html").read_text(encoding="utf-8"), inject=False)
    run.log({**tables, **figures, "report": report})
    verdict = judge(comparison)
    run.summary["verdict"] = verdict.sentence
    run.summary["best"] = verdict.best
    run.summary["decided"] = verdict.decided
    for method, rank_sum in zip(comparison.methods, comparison.total.rank_sums.tolist(), strict=True):
        run.summary[f"rank_sum/{method}"] = rank_sum
    artifact = wandb.Artifact(f"comparison-{run.id}", type="comparison", metadata=facts["verdict"])
    for path in sorted(output.iterdir()):
        if path.suffix in (".csv", ".md", ".tex", ".html") or path.name == SUMMARY:
            artifact.add_file(str(path))
    run.log_artifact(artifact)


def _figures(output: Path) -> list[str]:
    return [f"{FIGURES}/{path.stem}" for path in sorted((output / FIGURES).glob("*.png"))]


def _tables(comparison: Comparison, loaded: Loaded, name: str) -> Mapping[str, pd.DataFrame]:
    """The tables by name; rank sums name their comparison, as a workspace shows those of several below each other."""
    ranks = rank_frame(comparison)
    pairs = comparison.pairs
    if len(pairs) > LONGEST:
        pairs = pairs[pairs["class"] == MEAN_OF_CLASSES]
    sums = ranks[ranks["dataset"] == TOTAL].drop(columns=["dataset", "trained_on", "split", "class"])
    sums = sums.rename(columns={"rank": "rank_sum"}).merge(cost_frame(loaded.methods), on="method")
    tables = {
        "rank_sums": sums.sort_values("rank_sum").assign(comparison=name),
        "scores": score_frame(comparison),
        "ranks": ranks,
        "pairwise": pairs,
    }
    runs = [
        {
            "method": method.name,
            "run": run.name,
            "wandb_id": run.record.get("wandb_id"),
            "address": run.address,
            "data_set": run.dataset,
            "seed": run.record["seed"],
            "fold": run.record["fold"],
            "path": str(run.path),
        }
        for method in loaded.methods
        for run in method.runs
    ]
    if runs:
        tables["runs"] = pd.DataFrame(runs)
    return {name: table.head(LONGEST) for name, table in tables.items()}
