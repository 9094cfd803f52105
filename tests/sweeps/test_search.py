"""A search by validation Dice: what it asks for, what it makes of the answers, and what a crash leaves of it."""

import io
import json
import math
from pathlib import Path

import pandas as pd
import pytest
from omegaconf import DictConfig
from optuna.trial import TrialState
from rich.console import Console

from segbench.config.identity import run_name
from segbench.errors import UserError
from segbench.sweeps.search.results import importances, show_best
from segbench.sweeps.search.space import parse_space
from segbench.sweeps.search.trials import Trials
from tests.sweeps.searches import Outcome, finished, search, sweeper_values

RATE = "optimizer.lr=tag(log,interval(1e-5,1e-1))"
NOT_THE_SAME = ("worker_id", "datetime_start", "datetime_complete")
WHAT = (RATE, "model=unet_small,segresnet", "seed=3")


def formula(rate: float, model: str) -> float:
    """A Dice that is best at a learning rate of 1e-3, and a little better with one of the models."""
    return 0.9 - 0.1 * (math.log10(rate) + 3) ** 2 + 0.05 * (model == "segresnet")


def good(config: DictConfig) -> dict:
    return finished(formula(config.optimizer.lr, config.hydra.runtime.choices.model))


def table(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "search.csv")


def test_trials_are_executed_and_the_best_is_said(tmp_path, capsys):
    launcher = search(tmp_path, good, *WHAT, "hydra.sweeper.trials=5", "hydra.sweeper.at_once=2")
    assert [len(batch) for batch in launcher.batches] == [2, 2, 1]
    assert launcher.numbers == [0, 2, 4]
    found = table(tmp_path)
    assert list(found["trial"]) == list(range(5))
    assert set(found["state"]) == {"finished"}
    expected = [formula(*values) for values in zip(found["optimizer.lr"], found["model"], strict=True)]
    assert list(found["validation_score"]) == pytest.approx(expected)
    best = found.loc[found["validation_score"].idxmax()]
    said = capsys.readouterr().out
    values = f"optimizer.lr={best['optimizer.lr']} model={best['model']}"
    assert (
        f"best by validation: trial {best['trial']}, {values}: validation dice {best['validation_score']:.3f}" in said
    )
    assert f"run directory  {tmp_path / best['run']}" in said


def test_a_distance_is_sought_where_it_is_smallest(tmp_path, capsys):
    def distance(config: DictConfig) -> dict:
        return finished(10 - 10 * formula(config.optimizer.lr, config.hydra.runtime.choices.model))

    chosen = ("metrics.choose_by=hd95", "hydra.sweeper.trials=5")
    search(tmp_path, distance, *WHAT, *chosen)
    best = table(tmp_path)["validation_score"].idxmin()
    assert f"best by validation: trial {best}," in (said := capsys.readouterr().out)
    assert "validation hd95" in said
    with pytest.raises(UserError, match="holds another search"):
        search(tmp_path, good, *WHAT, "hydra.sweeper.trials=5")
    with pytest.raises(UserError, match=r"metrics\.choose_by: a search judges all trials by the same metrics"):
        search(tmp_path / "other", good, *WHAT, "metrics.choose_by=dice,iou")


def draw(folder: Path, numbers: range, *overrides: str) -> list[dict]:
    """Trials without runs: the values of each, whose Dice is told before the next is drawn."""
    trials = trials_of(folder, *overrides)
    drawn = []
    for number in numbers:
        assert trials.begin(100) == number
        values = trials.values(number)
        trials.note(number, run=f"run{number}")
        trials.end(number, TrialState.COMPLETE, formula(values["optimizer.lr"], values["model"]))
        drawn.append(values)
    return drawn


def test_it_learns_from_the_dice(tmp_path):
    values = draw(tmp_path, range(40))
    dice = [formula(one["optimizer.lr"], one["model"]) for one in values]
    assert sum(dice[20:]) > sum(dice[:20])
    assert max(dice) > 0.94
    text = io.StringIO()
    trials = trials_of(tmp_path)
    show_best(trials, tmp_path, Console(file=text))
    assert f"run directory  {tmp_path}/run{dice.index(max(dice))}\n" in text.getvalue()
    importance = importances(trials)
    assert list(importance) == ["optimizer.lr", "model"]
    assert sum(importance.values()) == pytest.approx(1)
    assert f"importance     optimizer.lr {importance['optimizer.lr']:.2f}, model" in text.getvalue()


@pytest.mark.parametrize("sampler", ["TPESampler", "RandomSampler"])
def test_interrupted_it_draws_what_it_would_have_drawn(tmp_path, sampler):
    chosen = [f"hydra.sweeper.sampler._target_=optuna.samplers.{sampler}"]
    chosen.append("hydra.sweeper.sampler.n_startup_trials=3")
    if sampler == "RandomSampler":
        chosen[1] = "~hydra.sweeper.sampler.n_startup_trials"
    whole = draw(tmp_path / "whole", range(7), *chosen)
    parts = [draw(tmp_path / "parts", numbers, *chosen) for numbers in (range(2), range(2, 3), range(3, 7))]
    assert [values for part in parts for values in part] == whole
    assert len({one["optimizer.lr"] for one in whole}) == 7


def test_the_value_used_is_the_value_shown(tmp_path):
    used = []

    def outcome(config: DictConfig) -> dict:
        used.append((config.optimizer.lr, config.seed))
        return good(config)

    launcher = search(tmp_path, outcome, *WHAT, "hydra.sweeper.trials=3")
    shown = [float(job[0].removeprefix("optimizer.lr=")) for job in launcher.asked]
    assert used == [(rate, 3) for rate in shown] == [(rate, 3) for rate in table(tmp_path)["optimizer.lr"]]
    assert all(rate == float(f"{rate:.4g}") for rate in shown)
    assert all(f"lr{rate}" in path.name for rate, path in zip(shown, launcher.paths, strict=True))
    assert not any("search" in path.name or "journal" in path.name for path in launcher.paths)


def test_the_same_command_adds_nothing_and_more_trials_go_on(tmp_path):
    first = search(tmp_path, good, *WHAT, "hydra.sweeper.trials=2")
    assert len(first.asked) == 2
    assert not search(tmp_path, good, *WHAT, "hydra.sweeper.trials=2").asked
    more = search(tmp_path, good, *WHAT, "hydra.sweeper.trials=4")
    assert more.numbers == [2, 3]
    assert len(table(tmp_path)) == 4


def test_a_trial_that_broke_off_is_continued_in_its_directory(tmp_path):
    broken = []

    def breaks(config: DictConfig) -> dict | None:
        broken.append(config.optimizer.lr)
        if len(broken) == 3:
            raise KeyboardInterrupt
        return good(config)

    settings = (*WHAT, "hydra.sweeper.trials=4", "hydra.sweeper.at_once=2")
    with pytest.raises(KeyboardInterrupt):
        search(tmp_path, breaks, *settings)
    assert len(table(tmp_path)) == 2
    again = search(tmp_path, good, *settings)
    whole = search(tmp_path.with_name("whole"), good, *settings)
    assert again.asked == whole.asked[2:]
    assert [path.name for path in again.paths] == [path.name for path in whole.paths[2:]]
    assert again.numbers == [2]


@pytest.mark.parametrize("record", [None, {"status": "interrupted", "error": "SIGTERM"}])
def test_a_run_that_broke_off_elsewhere_waits_for_the_next_command(tmp_path, record):
    tried = []

    def outcome(config: DictConfig) -> dict | None:
        tried.append(config.optimizer.lr)
        return record if len(tried) == 2 else good(config)

    settings = (*WHAT, "hydra.sweeper.trials=3")
    first = search(tmp_path, outcome, *settings)
    assert len(first.asked) == 3  # the others are tried, and this one not forever
    assert list(table(tmp_path)["state"]) == ["finished", "broken off", "finished"]
    again = search(tmp_path, good, *settings)
    assert again.asked == [first.asked[1]]
    assert list(table(tmp_path)["state"]) == ["finished"] * 3


def test_a_failed_run_is_told_and_the_search_goes_on(tmp_path, capsys):
    def outcome(config: DictConfig) -> dict:
        return good(config) if config.optimizer.lr < 1e-3 else {"status": "failed", "error": "the loss is nan"}

    launcher = search(tmp_path, outcome, *WHAT, "hydra.sweeper.trials=4")
    found = table(tmp_path)
    failed = found["optimizer.lr"] >= 1e-3
    assert 0 < failed.sum() < 4
    assert len(launcher.asked) == 4
    assert (found["state"] == failed.map({True: "failed", False: "finished"})).all()
    assert set(found["reason"][failed]) == {"the loss is nan"}
    assert found["validation_score"][failed].isna().all()
    assert f"{failed.sum()} failed" in capsys.readouterr().out


def test_the_next_command_tries_failed_runs_again(tmp_path):
    """A full disk does not use up the trials."""

    def full(config: DictConfig) -> dict:
        return {"status": "failed", "error": "No space left on device", "needs_user": True}

    settings = (*WHAT, "hydra.sweeper.trials=3", "hydra.sweeper.at_once=2")
    first = search(tmp_path, full, *settings)
    assert len(first.asked) == 3
    seen = []

    def breaks(config: DictConfig) -> dict:
        seen.append(config)
        return full(config) if len(seen) == 2 else good(config)

    second = search(tmp_path, breaks, *settings)
    assert second.asked == first.asked
    assert second.paths == first.paths
    third = search(tmp_path, good, *settings)
    assert third.asked == [first.asked[1]]
    found = table(tmp_path)
    assert list(found["state"]) == ["finished"] * 3
    assert sorted(found["optimizer.lr"]) == sorted(float(job[0].partition("=")[2]) for job in first.asked)
    assert not search(tmp_path, good, *settings).asked


@pytest.mark.parametrize("record", ["{", '{"status": "finished", "training": {}}',
                                    '{"status": "finished", "training": {"best_score": NaN}}'])  # fmt: skip
def test_a_run_without_a_score_has_failed(tmp_path, record, capsys):
    def outcome(config: DictConfig) -> None:
        folder = tmp_path / config.hydra.sweep.subdir
        folder.mkdir()
        (folder / "run.json").write_text(record)

    search(tmp_path, outcome, *WHAT, "hydra.sweeper.trials=1")
    assert list(table(tmp_path)["state"]) == ["failed"]
    assert "no trial has finished" in capsys.readouterr().out


def test_scores_of_test_cases_have_no_say(tmp_path):
    """What is asked for, and what is kept of it, is the same whatever the test cases came to."""

    def outcome(folder: Path, test_dice: float) -> Outcome:
        def write(config: DictConfig) -> dict:
            path = folder / config.hydra.sweep.subdir
            path.mkdir(parents=True)
            columns = "dataset,split,fold,seed,case,group,class,metric,value,n_ref,n_pred"
            value = test_dice * config.optimizer.lr
            (path / "cases.csv").write_text(f"{columns}\nd,test,0,0,a,a,cell,dice,{value},1,1\n")
            return good(config) | {"test": {"dice": value}, "cost": {"parameters": value}}

        return write

    settings = (*WHAT, "hydra.sweeper.trials=4", "hydra.sweeper.sampler.n_startup_trials=1")
    asked, journals = [], []
    for name, test_dice in (("high", 1000.0), ("low", -1000.0)):
        folder = tmp_path / name
        asked.append(search(folder, outcome(folder, test_dice), *settings).asked)
        events = [json.loads(line) for line in (folder / "search.journal").read_text().splitlines()]
        journals.append([{key: event[key] for key in event if key not in NOT_THE_SAME} for event in events])
        (folder / "search.csv").replace(tmp_path / f"{name}.csv")
    assert asked[0] == asked[1]
    assert journals[0] == journals[1]
    assert (tmp_path / "high.csv").read_text() == (tmp_path / "low.csv").read_text()


def test_the_same_values_twice_in_a_batch_are_one_run(tmp_path):
    settings = ("model=unet_small,segresnet", "hydra.sweeper.trials=5", "hydra.sweeper.at_once=5")
    launcher = search(tmp_path, good, *settings)
    assert sorted(launcher.asked) == [["model=segresnet"], ["model=unet_small"]]
    found = table(tmp_path)
    assert len(found) == 5
    assert found.groupby("model")["validation_score"].nunique().eq(1).all()


def test_a_study_lists_what_is_searched_and_fixed(tmp_path):
    params = f"hydra.sweeper.params={{loss: 'dice,tversky', seed: 7, optimizer.lr: '{RATE.partition('=')[2]}'}}"
    launcher = search(tmp_path, good, params, "hydra.sweeper.trials=2", "optimizer.lr=0.01")
    assert all(job[1:] == ["seed=7", "optimizer.lr=0.01"] and job[0].startswith("loss=") for job in launcher.asked)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ((RATE, "model=unet_small,segresnet", "seed=4"), "something else was fixed"),
        ((RATE, "model=unet_small,segresnet", "seed=3", "trainer.max_steps=7"), "something else was fixed"),
        ((RATE, "model=unet_small,unet", "seed=3"), "model: "),
        ((RATE, "seed=3"), "it varies optimizer.lr, model, this one optimizer.lr"),
    ],
)
def test_another_search_in_the_same_folder_is_refused(tmp_path, changed, said):
    search(tmp_path, good, *WHAT, "hydra.sweeper.trials=1")
    before = (tmp_path / "search.journal").read_text()
    with pytest.raises(UserError, match=f"holds (a|another) search .*{said}.*choose another hydra.sweep.dir"):
        search(tmp_path, good, *changed, "hydra.sweeper.trials=2")
    assert (tmp_path / "search.journal").read_text() == before


def test_what_does_not_change_the_result_may_change(tmp_path):
    search(tmp_path, good, *WHAT, "hydra.sweeper.trials=1")
    wider = ("optimizer.lr=tag(log,interval(1e-6,1e-1))", *WHAT[1:], "logger=csv", "data.workers=3")
    assert len(search(tmp_path, good, *wider, "hydra.sweeper.trials=2").asked) == 1


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("hydra.sweeper.trials=0", r"hydra\.sweeper\.trials=0: must be an integer of at least 1"),
        ("hydra.sweeper.at_once=1.5", r"hydra\.sweeper\.at_once=1\.5"),
        ("hydra.sweeper.sampler._target_=optuna.samplers.Tpe", r"hydra\.sweeper\.sampler: .*Tpe"),
        ("+hydra.sweeper.sampler.startup=3", r"hydra\.sweeper\.sampler: .*startup"),
        ("hydra.sweeper.sampler.seed=x", r"hydra\.sweeper\.sampler\.seed=x: must be an integer"),
        ("hydra.sweeper.pruner.n_startup_trials=-1", r"hydra\.sweeper\.pruner\.n_startup_trials=-1: must be"),
        ("hydra.sweeper.pruner={_target_: builtins.dict}", r"hydra\.sweeper\.pruner: dict is no pruner"),
    ],
)
def test_impossible_values_are_refused_by_name(tmp_path, override, said):
    with pytest.raises(UserError, match=said):
        search(tmp_path / "sweep", good, *WHAT, override)
    assert not list(tmp_path.rglob("*.journal"))


def test_the_folder_is_named_after_what_is_varied():
    varied = ["optimizer.lr=tag(log,interval(1e-5,1e-1))", "model=choice(unet,segnet)", "model.dropout=interval(0,0.5)"]
    assert run_name(varied, "") == "lr1e-5+1e-1-unet+segnet-dropout0+0.5"


def test_without_optuna_one_line_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr("segbench.sweeps.search.search.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"Optuna is not installed: pip install 'segbench\[search\]'"):
        search(tmp_path, good, *WHAT)


def trials_of(folder: Path, *overrides: str) -> Trials:
    sweeper = sweeper_values(*overrides)
    folder.mkdir(exist_ok=True)
    return Trials(folder / "search.journal", parse_space(WHAT), sweeper.sampler, sweeper.pruner)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_half_a_line_does_no_harm(tmp_path, share):
    """As a full disk or a node that went down leaves it; then others write on."""
    search(tmp_path, good, *WHAT, "hydra.sweeper.trials=2")
    journal = tmp_path / "search.journal"
    *whole, last = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(whole) + last[: max(1, int(share * len(last)) - 1)])
    first, second = trials_of(tmp_path), trials_of(tmp_path)
    number = first.begin(9)
    values = second.values(number)
    assert values == first.values(number)
    assert len(trials_of(tmp_path).all()) == number + 1
    assert all(json.loads(line) for line in journal.read_text().splitlines())


def test_a_damaged_file_is_named(tmp_path):
    search(tmp_path, good, *WHAT, "hydra.sweeper.trials=1")
    journal = tmp_path / "search.journal"
    journal.write_bytes(b"nonsense\n" + journal.read_bytes())
    with pytest.raises(UserError, match=r"search\.journal cannot be read: .*delete it"):
        search(tmp_path, good, *WHAT)


def test_a_kill_while_values_are_drawn_keeps_those_that_were(tmp_path):
    trials = trials_of(tmp_path)
    number = trials.begin(1)
    values = trials.values(number)
    journal = tmp_path / "search.journal"
    lines = journal.read_bytes().splitlines(keepends=True)
    first, second = (index for index, line in enumerate(lines) if b"param_name" in line)
    journal.write_bytes(b"".join(lines[:second]))
    again = trials_of(tmp_path).values(number)
    assert again["optimizer.lr"] == values["optimizer.lr"]
    assert again["model"] in ("unet_small", "segresnet")
    assert trials_of(tmp_path).values(number) == again
    journal.write_bytes(b"".join(lines[:first]))
    assert trials_of(tmp_path).values(number) == values
