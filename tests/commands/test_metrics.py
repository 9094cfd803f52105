"""Metrics that a user adds on the command line, from the run to the comparison."""

import json

import pandas as pd
import pytest

from segbench.compare.reading.methods import Rules, load_runs
from segbench.compare.statistics.comparison import Settings, compare_scores
from segbench.errors import UserError
from segbench.runs.directory import read_cases
from tests.made_runs import execute

HD95 = "+metrics.classes.hd95={_target_: segbench.metrics.surface.hd95, _partial_: true}"


def size(pair):
    return float(pair.n_pred)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs, one of which has hardly learnt."""
    folder = tmp_path_factory.mktemp("runs")
    return [
        execute(folder / f"steps{steps}", HD95, f"trainer.max_steps={steps}", "optimizer.lr=0.01").path
        for steps in (1, 40)
    ]


def test_a_metric_that_the_file_does_not_list_is_ranked_in_its_own_direction(runs):
    assert [json.loads((path / "run.json").read_text())["metrics"] for path in runs] == [
        {"dice": "larger", "iou": "larger", "hd95": "smaller"}
    ] * 2
    loaded = load_runs(runs, Rules(may_differ=("budget.max_steps",)))
    comparison = compare_scores(loaded.sets, Settings(("hd95",), bootstraps=100))
    scores = pd.concat([read_cases(path / "cases.csv").assign(run=path.name) for path in runs])
    means = scores[scores["metric"] == "hd95"].groupby("run")["value"].mean()
    best = comparison.methods[comparison.total.rank_sums.argmin()]
    assert means["steps1"] != means["steps40"]
    assert best == {"steps1": "max steps 1", "steps40": "max steps 40"}[means.idxmin()]


def test_a_function_without_a_direction_is_refused_before_data_is_read(tmp_path, monkeypatch):
    added = f"+metrics.classes.size={{_target_: {__name__}.size, _partial_: true}}"
    with monkeypatch.context() as patch:
        patch.setattr("segbench.training.assembly.build_data", None)
        with pytest.raises(UserError, match=r"metrics\.classes\.size: not known whether .* metrics\.direction\.size"):
            execute(tmp_path / "run", added)
    directory = execute(tmp_path / "run", added, "+metrics.direction.size=smaller")
    assert directory.record["metrics"]["size"] == "smaller"
