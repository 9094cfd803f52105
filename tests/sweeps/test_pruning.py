"""Runs tell their search how they are doing, and a hopeless one ends early."""

import json
import logging
import signal
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from optuna.trial import TrialState

from segbench.commands.execution import report
from segbench.commands.run_scores import show_run
from segbench.compare.reading.runs import read_runs
from segbench.errors import Stopped, UserError
from segbench.runs.directory import RunDirectory
from segbench.runs.discovery import find_runs
from segbench.runs.progress import read_progress
from segbench.sweeps.search.search import CALLBACK
from segbench.sweeps.search.space import parse_space
from segbench.sweeps.search.trials import Trials
from segbench.training.module import SegmentationModule
from tests.made_runs import TINY, execute
from tests.sweeps.searches import sweeper_values

STEPS = ("trainer.max_steps=6", "trainer.validate_every=2")


def trials_of(folder: Path, pruner: str) -> Trials:
    sweeper = sweeper_values(*pruner.split())
    space = parse_space(["optimizer.lr=tag(log,interval(1e-9,1e-1))"])
    return Trials(folder / "search.journal", space, sweeper.sampler, sweeper.pruner)


def threshold(lower: float) -> str:
    """Ends runs below a Dice."""
    return (
        "~hydra.sweeper.pruner.n_startup_trials hydra.sweeper.pruner._target_=optuna.pruners.ThresholdPruner "
        f"+hydra.sweeper.pruner.lower={lower}"
    )


def run_trial(folder: Path, number: int, *overrides: str) -> RunDirectory:
    search = f"search={{_target_: {CALLBACK}, journal: '{folder}/search.journal', trial: {number}}}"
    tiny = [one for one in TINY if not one.startswith("model.") or "model=otsu" not in overrides]
    return execute(folder / f"run{number}", *tiny, search, *STEPS, *overrides, tiny=False)


def reports(folder: Path) -> Counter[tuple[int, int]]:
    """How often each step of each trial was reported."""
    events = [json.loads(line) for line in (folder / "search.journal").read_text().splitlines()]
    return Counter((event["trial_id"], event["step"]) for event in events if "intermediate_value" in event)


def test_a_search_from_the_command_line(tmp_path, capsys):
    """Three real trials, told by what their runs wrote; the same command again trains nothing."""
    arguments = [
        "-m", "hydra/sweeper=optuna", "hydra.sweeper.trials=3", f"hydra.sweep.dir={tmp_path}/sweep", *TINY,
        "optimizer.lr=tag(log,interval(1e-5,1e-1))",
    ]  # fmt: skip
    assert report("train", arguments) == 0
    found = pd.read_csv(tmp_path / "sweep" / "search.csv")
    assert list(found["state"]) == ["finished"] * 3
    for trial in found.itertuples():
        directory = RunDirectory(tmp_path / "sweep" / str(trial.run))
        assert directory.record["training"]["best_score"] == trial.validation_score
        assert float(directory.record["overrides"][-2].partition("=")[2]) == found["optimizer.lr"][trial.trial]
    best = found.loc[found["validation_score"].idxmax()]
    assert f"best by validation: trial {best['trial']}, optimizer.lr={best['optimizer.lr']}:" in capsys.readouterr().out
    assert set(reports(tmp_path / "sweep").values()) == {1}
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("sweep/*/*")}
    assert len(before) > 12
    assert report("train", arguments) == 0
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("sweep/*/*")}.items() >= {
        path: time for path, time in before.items() if "comparison" not in path.parts
    }.items()


def test_every_validation_is_reported(tmp_path):
    trials = trials_of(tmp_path, "")
    number = trials.begin(9)
    directory = run_trial(tmp_path, number)
    assert directory.finished
    told = trials.all()[number].intermediate_values
    assert sorted(told) == [2, 4, 6]
    assert max(told.values()) == pytest.approx(directory.record["training"]["best_score"])
    assert run_trial(tmp_path, number).finished  # shown, not trained
    assert set(reports(tmp_path).values()) == {1}


def test_a_bad_learning_rate_is_ended_and_a_good_one_is_not(tmp_path):
    """The deterministic median pruner, with one finished trial to judge by."""
    trials = trials_of(tmp_path, "hydra.sweeper.pruner.n_startup_trials=1 hydra.sweeper.pruner.n_warmup_steps=3")
    good = trials.begin(9)
    directory = run_trial(tmp_path, good, "optimizer.lr=0.001")
    trials.end(good, TrialState.COMPLETE, directory.record["training"]["best_score"])
    bad = trials.begin(9)
    directory = run_trial(tmp_path, bad, "optimizer.lr=0.1")
    assert directory.status == "pruned"
    assert directory.record["training"]["steps"] == 4  # not at 2, where it was not judged yet
    assert not directory.cases.exists()
    assert sorted(trials.all()[bad].intermediate_values) == [2, 4]


def test_a_pruned_run_is_done_and_said_to_be_pruned(tmp_path, capsys):
    trials = trials_of(tmp_path, threshold(2.0))
    number = trials.begin(9)
    directory = run_trial(tmp_path, number)
    assert (directory.status, directory.record["training"]["steps"]) == ("pruned", 2)
    assert directory.done
    assert not directory.finished
    before = (directory.path / "run.json").read_text()
    again = run_trial(tmp_path, number)
    assert again.status == "pruned"
    assert (directory.path / "run.json").read_text() == before
    show_run(again)
    assert "ended early by its search, at step 2" in capsys.readouterr().out
    progress = read_progress(directory.path)
    assert (progress.state, progress.step, progress.reason) == ("pruned", 2, "")
    assert progress.score == pytest.approx(directory.record["training"]["best_score"])
    runs, unfinished = read_runs(find_runs(str(tmp_path)))
    assert (runs, [one.reason for one in unfinished]) == ([], ["pruned"])


@pytest.mark.parametrize("step", [3, 5])
def test_a_resumed_run_reports_no_step_twice(tmp_path, monkeypatch, step):
    trials = trials_of(tmp_path, threshold(-1.0))
    number = trials.begin(9)
    training_step = SegmentationModule.training_step

    def stop(self, batch, index):
        if self.global_step == step:
            raise Stopped(signal.SIGTERM)
        return training_step(self, batch, index)

    monkeypatch.setattr(SegmentationModule, "training_step", stop)
    with pytest.raises(Stopped):
        run_trial(tmp_path, number)
    monkeypatch.setattr(SegmentationModule, "training_step", training_step)
    assert run_trial(tmp_path, number).finished
    assert reports(tmp_path) == {(0, 2): 1, (0, 4): 1, (0, 6): 1}


def test_killed_between_report_and_checkpoint_it_reports_once(tmp_path, monkeypatch):
    from segbench.training.checkpoints import Checkpoints

    trials = trials_of(tmp_path, threshold(-1.0))
    number = trials.begin(9)

    def stop(*_: object) -> None:
        raise Stopped(signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "keep", stop)
        with pytest.raises(Stopped):
            run_trial(tmp_path, number)
    assert reports(tmp_path) == {(0, 2): 1}
    assert run_trial(tmp_path, number).finished
    assert reports(tmp_path) == {(0, 2): 1, (0, 4): 1, (0, 6): 1}


def test_killed_after_its_checkpoint_a_hopeless_run_trains_no_further(tmp_path, monkeypatch):
    """The search may also have learnt meanwhile that the run is hopeless."""
    trials = trials_of(tmp_path, threshold(-1.0))
    number = trials.begin(9)
    training_step = SegmentationModule.training_step

    def stop(self, batch, index):
        if self.global_step == 2:
            raise Stopped(signal.SIGTERM)
        return training_step(self, batch, index)

    with monkeypatch.context() as patch:
        patch.setattr(SegmentationModule, "training_step", stop)
        with pytest.raises(Stopped):
            run_trial(tmp_path, number)
    trials_of(tmp_path, threshold(2.0))  # the same search with another pruner
    directory = run_trial(tmp_path, number)
    assert (directory.status, directory.record["training"]["steps"]) == ("pruned", 2)


def test_a_search_that_cannot_be_reached_stops_no_training(tmp_path, monkeypatch, caplog):
    trials = trials_of(tmp_path, threshold(-1.0))
    number = trials.begin(9)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("optuna.storages.journal.JournalFileBackend.append_logs", full)
    with caplog.at_level(logging.WARNING):
        assert run_trial(tmp_path, number).finished
    assert "the search was not reached, the training goes on: OSError: [Errno 28]" in caplog.text


def test_a_model_that_is_fitted_is_not_reported(tmp_path):
    trials = trials_of(tmp_path, threshold(2.0))
    assert run_trial(tmp_path, trials.begin(9), "model=otsu").finished
    assert not reports(tmp_path)


def test_a_search_by_hand_that_is_none_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"search\.journal=.*: there is no such file"):
        run_trial(tmp_path, 0)
    trials_of(tmp_path, "")
    with pytest.raises(UserError, match=r"search\.trial=7: .*has no such trial"):
        run_trial(tmp_path, 7)
