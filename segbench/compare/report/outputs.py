"""The folder of a comparison: all of it, or what was there before."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from segbench import __version__
from segbench.compare.reading.methods import COSTS, Loaded
from segbench.compare.reading.naming import differences
from segbench.compare.report.efficiency import efficiency_frame
from segbench.compare.report.frames import consensus_frame, cost_frame, drop_frame, rank_frame, score_frame
from segbench.compare.report.gallery import draw_figures
from segbench.compare.report.latex import latex
from segbench.compare.report.page.page import Contents, write_report
from segbench.compare.report.paper.archive import write_crate, write_manifest
from segbench.compare.report.paper.writing import write_paper
from segbench.compare.report.relative import relative_table
from segbench.compare.report.render import as_text, comma_separated, markdown
from segbench.compare.report.tables import comparison_table
from segbench.compare.request import STANDARD, Request
from segbench.compare.statistics.bootstrap import Standing
from segbench.compare.statistics.comparison import Comparison
from segbench.compare.statistics.references import orders_by_reference
from segbench.compare.statistics.subgroups import subgroup_scores, subgroup_tests
from segbench.compare.statistics.verdict import judge
from segbench.errors import UserError
from segbench.system.atomic import replaced

SUMMARY = "comparison.json"
FIGURES = "figures"


def write_outputs(
    folder: Path,
    comparison: Comparison,
    loaded: Loaded,
    request: Request = STANDARD,
) -> None:
    """Write tables, figures and the report; a comparison that was there before is replaced.

    Args:
        folder: where they go.
        comparison: the result.
        loaded: what it is of.
        request: the form of the tables, the baseline of the relative one, and what else was asked for.

    Raises:
        UserError: if the folder cannot be written, or holds something else.
    """
    metrics = comparison.settings.metrics
    form, baseline = request.form, request.baseline
    failed = tuple(f"not finished: {run.path.name} ({run.reason})" for run in loaded.unfinished)
    table = comparison_table(comparison, loaded.methods, metrics, form.uncertainty)
    table = replace(table, notes=(*table.notes, *failed))
    relative = relative_table(comparison, baseline, metrics[0]) if baseline is not None else None
    with _comparison_folder(folder) as new:
        for name, shown in (("table", table), ("relative", relative)):
            if shown is not None:
                (new / f"{name}.md").write_text(markdown(shown, form.transpose), encoding="utf-8")
                tabular = latex(shown, form.transpose, f"tab:{name}")
                (new / f"{name}.tex").write_text(tabular, encoding="utf-8")
                (new / f"{name}.csv").write_text(comma_separated(shown), encoding="utf-8")
        frames = {
            "scores": score_frame(comparison),
            "ranks": rank_frame(comparison),
            "pairwise": comparison.pairs,
            "drops": drop_frame(comparison),
            "efficiency": efficiency_frame(comparison, loaded.methods),
            "costs": cost_frame(loaded.methods),
            "consensus": consensus_frame(comparison),
        }
        if loaded.references:
            frames["annotators"] = orders_by_reference(comparison, loaded.references)
        if loaded.subgroups:
            frames["subgroups"] = subgroup_scores(comparison, loaded.subgroups)
            frames["subgroup_tests"] = subgroup_tests(comparison, loaded.subgroups)
        for name, frame in frames.items():
            texts = frame.select_dtypes(["object", "string"]).map(as_text)
            frame.assign(**{str(column): texts[column] for column in texts}).to_csv(new / f"{name}.csv", index=False)
        (new / FIGURES).mkdir()
        figures = draw_figures(new / FIGURES, comparison, loaded, frames)
        write_paper(new, comparison, loaded, request)
        contents = Contents(comparison, loaded, judge(comparison), table, relative, frames, figures)
        write_report(new / "report.html", contents)
        (new / SUMMARY).write_text(json.dumps(_plain(summary(comparison, loaded)), indent=1) + "\n", encoding="utf-8")
        write_crate(new, loaded, table.title)
        write_manifest(new)


@contextmanager
def _comparison_folder(folder: Path) -> Iterator[Path]:
    """A new folder that takes the place of an older comparison only when it is complete.

    Raises:
        UserError: if the folder cannot be written, or holds something that is no comparison.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"output={folder}: is a file; name a folder")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / SUMMARY).exists():
        raise UserError(f"output={folder}: holds something that is no comparison; name another folder")
    try:
        with replaced(folder) as new:
            yield new
    except OSError as error:
        raise UserError(f"output={folder}: cannot be written ({error.strerror or error})") from error


def summary(comparison: Comparison, loaded: Loaded) -> dict[str, Any]:
    """The content of comparison.json."""
    verdict = judge(comparison)
    runs = [run for method in loaded.methods for run in method.runs]
    return {
        "segbench": __version__,
        "verdict": {**asdict(verdict), "decided": verdict.decided},
        "settings": asdict(comparison.settings),
        "methods": [
            {
                "name": method.name,
                "runs": [{"id": run.id, "name": run.name, "path": str(run.path)} for run in method.runs],
                "seeds": method.seeds,
                "folds": method.folds,
                "cost": {key: method.cost(key) for key in COSTS},
                "generalisation_gap": method.gap,
            }
            for method in loaded.methods
        ],
        "data_sets": [
            {
                "name": s.name,
                "cases": len(s.cases),
                "resampled": len(set(s.drawn.tolist())),
                "rows": [r._asdict() for r in s.rows],
            }
            for s in comparison.sets
        ],
        "rank_sums": {name: _standing(comparison, standing) for name, standing in comparison.standings.items()},
        "total_by_other_rules": {name: _standing(comparison, s) for name, s in comparison.other_rules.items()},
        "friedman": {metric: asdict(test) for metric, test in comparison.friedman.items()},
        "differences": {k: [str(v) for v in values] for k, values in differences(runs).items()} if runs else {},
        "unfinished": [{"path": str(run.path), "reason": run.reason} for run in loaded.unfinished],
        "notes": [*loaded.notes, *comparison.notes],
    }


def _standing(comparison: Comparison, standing: Standing) -> dict[str, Any]:
    per_method = {
        method: {
            "rank_sum": standing.rank_sums[k],
            "interval": [standing.low[k], standing.high[k]],
            "place": standing.positions[k],
            "first": standing.first[k],
        }
        for k, method in enumerate(comparison.methods)
    }
    return {
        "methods": per_method,
        "kendall_tau": dict(zip(("median", "low", "high"), standing.tau, strict=True)),
    }


def _plain(value: Any) -> Any:
    """Replace what JSON has not: arrays of numpy, NaN and infinity."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value
