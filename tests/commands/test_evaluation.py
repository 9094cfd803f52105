"""What follows training: previews show what was scored, and a network is measured once."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from segbench.evaluation.results import PredictedLabels, measure_cost, write_previews
from segbench.runs.directory import read_cases
from segbench.training import assembly
from segbench.training.predictor import load_run
from tests.made_runs import execute


@pytest.mark.parametrize("shape", [(5, 7), (3, 4, 5), (1, 1)])
def test_labels_come_back_as_they_were(shape):
    labels = PredictedLabels()
    for number, dtype in enumerate((np.uint8, np.int32)):
        label = np.random.default_rng(number).integers(0, 9, (2, *shape)).astype(dtype)[1]
        masks = np.stack([label > 3, label > 5])
        for regions in (None, masks):
            labels.keep("a", label.T, regions)
            found = labels.get("a")
            assert found is not None
            assert found[0].dtype == dtype
            np.testing.assert_array_equal(found[0], label.T)
            assert found[1] is None if regions is None else np.array_equal(found[1], masks)
    assert labels.get("b") is None


def test_previews_show_what_is_predicted_again(tmp_path: Path):
    """As they did before the labels of the test were kept, and as they do for cases of another process."""
    directory = execute(tmp_path / "run", "predictions=true", "fold=1")
    run = load_run(directory.path, accelerator="cpu")
    data = assembly.build_data(run.config)
    folder = tmp_path / "again"
    folder.mkdir()
    write_previews(read_cases(directory.cases), PredictedLabels(), data, run.trainer, run.module, folder)
    for name in ("best.png", "median.png", "worst.png"):
        assert (folder / name).read_bytes() == (directory.path / "previews" / name).read_bytes()


class Counted(nn.Module):
    """A network, wrapped as a module wraps it, that counts how often it is called."""

    def __init__(self, width: int, kernel: int = 3) -> None:
        super().__init__()
        self.model = nn.Conv2d(3, width, kernel)
        self.calls = 0
        self.model.register_forward_hook(self.count)

    def count(self, *_: object) -> None:
        self.calls += 1


def test_a_network_is_measured_once():
    first, same, wider, other_patch = Counted(4), Counted(4), Counted(5), Counted(4)
    measured = measure_cost(first, (3, 8, 8), True, {"width": 4})
    assert first.calls > 0
    assert measured == {"parameters": 4 * 28, "flops": 2 * 4 * 27 * 36, "flops_input": [3, 8, 8],
                        "receptive_field": [3, 3]}  # fmt: skip
    with torch.no_grad():
        same.model.weight.fill_(-1.0)
    measured["seconds"] = 3.0  # the caller's own
    again = measure_cost(same, (3, 8, 8), True, {"width": 4})
    assert again == {key: value for key, value in measured.items() if key != "seconds"}
    assert same.calls == 0
    assert measure_cost(wider, (3, 8, 8), True, {"width": 4})["parameters"] == 5 * 28  # whatever it was made from
    assert measure_cost(other_patch, (3, 8, 10), True, {"width": 4})["flops"] == 2 * 4 * 27 * 48
    assert "receptive_field" not in measure_cost(same, (3, 8, 8), False, {"width": 4})


def test_networks_of_equal_weights_are_told_apart_by_what_they_are_made_from():
    """A dilation changes no parameter."""
    plain, dilated = Counted(4), Counted(4)
    dilated.model.dilation = (2, 2)
    assert measure_cost(plain, (3, 9, 9), True, {"dilation": 1})["receptive_field"] == [3, 3]
    assert measure_cost(dilated, (3, 9, 9), True, {"dilation": 2})["receptive_field"] == [5, 5]


def test_frozen_weights_are_no_parameters():
    frozen = Counted(4)
    frozen.model.requires_grad_(False)
    assert measure_cost(Counted(4), (3, 7, 7), False, {})["parameters"] == 4 * 28
    assert measure_cost(frozen, (3, 7, 7), False, {})["parameters"] == 0
