"""What all estimators have in common: they learn from masks, checkpoints keep it, impossible values are refused."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import skops.io
import torch

from segbench.errors import UserError
from segbench.models.estimator import TrainingCase
from segbench.models.forest import RandomForest
from segbench.models.kmeans import KMeans
from segbench.models.region_growing import RegionGrowing, Watershed
from segbench.models.thresholds import AdaptiveThreshold, Otsu
from tests.models.estimators import cells, dice, fitted, predict

MODELS = {
    "otsu": Otsu,
    "adaptive": AdaptiveThreshold,
    "growing": RegionGrowing,
    "watershed": Watershed,
    "kmeans": KMeans,
    "forest": lambda *sizes: RandomForest(*sizes, trees=5, sigmas=(1.0,)),
}
every_model = pytest.mark.parametrize("name", MODELS)


@every_model
@pytest.mark.parametrize("size", [(48, 52), (20, 24, 22)])
@pytest.mark.parametrize("dark", [False, True])
def test_finds_nucleus_cell_and_background(name, size, dark):
    model = fitted(MODELS[name], *(cells(size, seed, dark) for seed in range(3)))
    unseen = cells(size, 9, dark)
    found = predict(model, unseen)
    if name == "adaptive":  # the window is small for these cells
        assert dice(found, unseen.label) > 0.5
    else:
        assert dice(found, unseen.label) > (0.85 if len(size) == 2 else 0.75)


@every_model
def test_scores_are_log_probabilities_and_the_fit_is_repeatable(name):
    train, case = [cells((40, 40), seed, channels=3) for seed in range(2)], cells((33, 47), 5, channels=3)
    image = torch.from_numpy(case.image)[None]
    first, second = (fitted(MODELS[name], *train)(image)["mask"] for _ in range(2))
    assert first.dtype == torch.float32
    assert torch.equal(first, second)
    torch.testing.assert_close(first.exp().sum(1), torch.ones(1, 33, 47), rtol=1e-3, atol=1e-3)
    batch = fitted(MODELS[name], *train)(torch.cat([image, -image]))["mask"]
    assert torch.equal(batch[:1], first)


@every_model
def test_a_checkpoint_keeps_what_was_learnt(name, tmp_path):
    case = cells((40, 40))
    model = fitted(MODELS[name], case)
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    other = MODELS[name](2, 1, {"mask": 3})
    image = torch.from_numpy(case.image)[None]
    with pytest.raises(UserError, match="not been fitted"):
        other(image)
    other.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    assert torch.equal(other(image)["mask"], model(image)["mask"])


@every_model
def test_ignored_pixels_teach_nothing(name):
    case = cells((40, 40))
    label = case.label.copy()
    label[:, :20] = 255
    lying = np.where(np.arange(40) < 20, 2 - case.label, case.label).astype(np.uint8)
    image = torch.from_numpy(case.image)[None]
    with_ignored = fitted(MODELS[name], TrainingCase(case.image, label, case.spacing))
    assert np.mean(predict(with_ignored, case)[:, 20:] == case.label[:, 20:]) > 0.5
    misled = fitted(MODELS[name], TrainingCase(case.image, lying, case.spacing))
    assert not torch.equal(with_ignored(image)["mask"], misled(image)["mask"])


@every_model
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 3), (2, 1, 3)])
def test_images_that_are_tiny_or_constant(name, size):
    model = fitted(MODELS[name], cells((40, 40) if len(size) == 2 else (16, 16, 16)))
    for image in (torch.zeros(1, 1, *size), torch.linspace(0, 1, int(np.prod(size))).reshape(1, 1, *size)):
        logits = model(image)["mask"]
        assert logits.shape == (1, 3, *size)
        assert logits.isfinite().all()


def test_other_heads_are_refused():
    with pytest.raises(UserError, match=r"task\.heads: Otsu .* not mask, contour"):
        Otsu(2, 1, {"mask": 2, "contour": 1})


@pytest.mark.parametrize(
    ("make", "choices", "message"),
    [
        (Otsu, {"regions": 1}, "model.regions=1"),
        (Otsu, {"channel": 3}, "model.channel=3: the images have the channels 0 to 0"),
        (Otsu, {"channel": "red"}, "model.channel=red: must be mean, pca, best"),
        (Otsu, {"rank": "size"}, "model.rank=size: must be one of brightness, area, best"),
        (Otsu, {"assign": "best"}, "model.assign=best: must be one of vote, dice"),
        (AdaptiveThreshold, {"window": 50}, "model.window=50: must be an odd number"),
        (AdaptiveThreshold, {"method": "median"}, "model.method=median: must be one of mean, gaussian"),
        (Watershed, {"seeds": "random"}, "model.seeds=random: must be one of core, peak, sure"),
        (Watershed, {"sigma": -1}, "model.sigma=-1"),
        (RegionGrowing, {"tolerance": -1}, "model.tolerance=-1"),
        (RegionGrowing, {"share": 0}, "model.share=0"),
        (KMeans, {"clusters": 1}, "model.clusters=1"),
        (RandomForest, {"trees": 0}, "model.trees=0"),
        (RandomForest, {"sigmas": [1.0, 0.0]}, r"model.sigmas=\[1.0, 0.0\]"),
    ],
)
def test_impossible_values(make, choices, message):
    with pytest.raises(UserError, match=message.replace(".", r"\.") if "[" not in message else message):
        make(2, 1, {"mask": 2}, **choices)


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def as_state(content: bytes) -> torch.Tensor:
    return torch.frombuffer(bytearray(content), dtype=torch.uint8)


def test_a_pickle_in_a_checkpoint_is_not_executed(tmp_path):
    model = RandomForest(2, 1, {"mask": 2})
    for content in (
        pickle.dumps(Trap(tmp_path / "sprung")),
        skops.io.dumps(os.mkdir),
        skops.io.dumps({"a": Path("x")}),
    ):
        with pytest.raises(UserError, match="the learnt state of this checkpoint is not read"):
            model.set_extra_state(as_state(content))
    assert not (tmp_path / "sprung").exists()


def test_a_tree_that_leads_out_of_itself_is_refused():
    generator = np.random.default_rng(0)
    model = RandomForest(2, 1, {"mask": 2}, trees=2, sigmas=[1.0])
    label = generator.integers(0, 2, (16, 16), dtype=np.uint8)
    model.fit([TrainingCase(generator.random((1, 16, 16), np.float32), label, (1.0, 1.0))])
    model.set_extra_state(model.get_extra_state())
    nodes = model.learnt.estimators_[1].tree_.__getstate__()["nodes"]
    for field in ("left_child", "right_child", "feature"):
        state = model.learnt.estimators_[1].tree_.__getstate__()
        state["nodes"] = nodes.copy()
        state["nodes"][field][0] = len(nodes) + 7
        damaged = pickle.loads(pickle.dumps(model.learnt))
        damaged.estimators_[1].tree_.__setstate__(state)
        with pytest.raises(UserError, match="a node leads out of it"):
            model.set_extra_state(as_state(skops.io.dumps(damaged)))
