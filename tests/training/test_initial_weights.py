"""A run that begins with the weights of another: FCN-32s, 16s, 8s as their authors trained them."""

import logging
import shutil
from pathlib import Path

import pytest
import torch

from segbench.config.identity import run_id
from segbench.errors import UserError
from segbench.runs.directory import RunDirectory
from segbench.training.initial_weights import take_over
from segbench.training.predictor import load_run
from tests.made_runs import TINY, configure, execute

SMALL = [one for one in TINY if not one.startswith("model.")]
FCN = (*SMALL, "model.width=0.0625", "model.upsampling=frozen", "model.dropout=0", "data.patch_size=[64,64]",
       "optimizer.lr=1e-3", "trainer.max_steps=6")  # fmt: skip
NOTHING_LEARNT = "optimizer.lr=0"


@pytest.fixture(scope="module")
def fcn32s(tmp_path_factory) -> Path:
    """A finished FCN-32s."""
    path = tmp_path_factory.mktemp("runs") / "fcn32s"
    execute(path, "model=fcn32s", *FCN, tiny=False)
    return path


def fcn16s(path: Path, source: Path | str, *overrides: str) -> RunDirectory:
    return execute(path, "model=fcn16s", *FCN, f"initial_weights={source}", *overrides, tiny=False)


def logits(run: Path, image: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return load_run(run, "cpu").module.eval()(image)["mask"]


def test_a_finer_network_begins_where_the_coarser_one_ended(fcn32s, tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        fcn16s(tmp_path, fcn32s, NOTHING_LEARNT)
    (line,) = [record.message for record in caplog.records if record.name == "segbench.training.initial_weights"]
    kernels = "enlarge.fc7.weight, enlarge.pool4.weight"
    assert (
        line == f"32 of 36 tensors begin as in {fcn32s}; the others: scores.pool4.weight, scores.pool4.bias, {kernels}"
    )
    image = torch.randn(1, 1, 160, 160, generator=torch.Generator().manual_seed(0))
    inner = (..., slice(32, -32), slice(32, -32))
    coarse, fine = logits(fcn32s, image)[inner], logits(tmp_path, image)[inner]
    assert coarse.std() > 0
    assert (fine - coarse).std() < 0.1 * coarse.std()


def test_the_whole_chain_of_the_paper(fcn32s, tmp_path):
    """32s, 16s, 8s: the last begins with every convolution of the one before, and with all of its kernels but one."""
    fcn16s(tmp_path / "16s", fcn32s)
    source = f"initial_weights={tmp_path / '16s'}"
    execute(tmp_path / "8s", "model=fcn8s", *FCN, source, NOTHING_LEARNT, tiny=False)
    coarse, fine = (load_run(tmp_path / name, "cpu").module.model.state_dict() for name in ("16s", "8s"))
    begun = {key for key, value in coarse.items() if key in fine and torch.equal(fine[key], value)}
    assert {key for key in coarse if not key.startswith("enlarge")} <= begun
    assert not fine["scores.pool3.weight"].any()
    image = torch.randn(1, 1, 160, 160, generator=torch.Generator().manual_seed(0))
    inner = (..., slice(32, -32), slice(32, -32))
    before, after = logits(tmp_path / "16s", image)[inner], logits(tmp_path / "8s", image)[inner]
    assert (after - before).std() < 0.1 * before.std()


def test_the_source_may_be_gone_once_a_run_has_a_checkpoint(fcn32s, tmp_path, monkeypatch):
    source = tmp_path / "source"
    shutil.copytree(fcn32s, source)

    def stop(self, rows, name="cases.csv"):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RunDirectory, "write_cases", stop)
        with pytest.raises(KeyboardInterrupt):
            fcn16s(tmp_path / "run", source)
    shutil.rmtree(source)
    assert RunDirectory(tmp_path / "run").status == "interrupted"
    assert fcn16s(tmp_path / "run", source).finished
    logits(tmp_path / "run", torch.zeros(1, 1, 32, 32))


def test_a_path_is_the_same_run_however_it_is_written(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "runs")
    ids = {run_id(configure(f"initial_weights={path}")) for path in (tmp_path / "runs/a", "runs/a", "link/../runs/a")}
    assert len(ids) == 1
    assert run_id(configure("initial_weights=runs/b")) not in ids
    assert run_id(configure()) not in ids


def test_weights_that_saw_the_test_cases_are_refused(fcn32s, tmp_path):
    with pytest.raises(UserError, match=r"initial_weights=.*: was trained on \d+ of the 2 test cases, such as .* fold"):
        fcn16s(tmp_path, fcn32s, "fold=1")
    assert not (tmp_path / "run.json").exists()


def test_directories_that_are_no_finished_run(fcn32s, tmp_path):
    unfinished = tmp_path / "unfinished"
    shutil.copytree(fcn32s, unfinished)
    RunDirectory(unfinished).update(status="interrupted")
    fitted = tmp_path / "fitted"
    shutil.copytree(fcn32s, fitted, ignore=shutil.ignore_patterns("*.ckpt"))
    for source, message in {
        tmp_path / "none": "is no run directory, it has no run.json",
        unfinished: r"the run is not finished \(status interrupted\)",
        fitted: r"has no best\.ckpt",
    }.items():
        with pytest.raises(UserError, match=f"initial_weights={source}: {message}"):
            fcn16s(tmp_path / "run", source)


def test_a_network_with_nothing_in_common(fcn32s):
    with pytest.raises(UserError, match=r"none of its 33 tensors has name and shape of one of the 2 of Linear"):
        take_over(torch.nn.Linear(2, 3), RunDirectory(fcn32s))


def test_a_tensor_of_another_shape_stays_as_it_is(fcn32s):
    trained = torch.load(fcn32s / "checkpoints" / "best.ckpt", weights_only=False)["state_dict"]
    bias = trained["model.scores.fc7.bias"]
    net = torch.nn.Module()
    net.scores = torch.nn.ModuleDict({"fc7": torch.nn.Conv2d(5, len(bias), 1)})
    weight = net.scores["fc7"].weight.clone()
    take_over(net, RunDirectory(fcn32s))
    assert torch.equal(net.scores["fc7"].bias, bias)
    assert torch.equal(net.scores["fc7"].weight, weight)
