"""The border weights of U-Net against printed values and one distance transform per object."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from segbench.config import schema
from segbench.data.border_weight import REACH, BorderWeight, two_distances
from segbench.data.labels.instance_requirement import names_with_objects
from segbench.data.sample import Sample
from segbench.errors import UserError
from segbench.training.assembly import build_data
from tests.data_sets import folder
from tests.made_runs import TINY, configure, execute

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "border_weight.py"
spec = importlib.util.spec_from_file_location("border_weight", SCRIPT)
benchmark = importlib.util.module_from_spec(spec)
spec.loader.exec_module(benchmark)


def weigh(instances, label=None, spacing=None, **settings):
    instances = np.asarray(instances, np.int32)
    label = (instances > 0).astype(np.uint8) if label is None else label
    return BorderWeight(**settings)(Sample(label[None], label, instances, spacing or (1.0,) * instances.ndim))


def gap(width):
    """Two objects with so many pixels of background between them."""
    return np.array([[1, 1, *[0] * width, 2, 2]])


@pytest.mark.parametrize(("distance", "value"), [(1, 10.231), (2, 8.2615), (10, 1.0034)])
def test_printed_values(distance, value):
    """The pixel in the middle of a gap is as far from the one object as from the other."""
    weights = weigh(gap(2 * distance - 1))
    assert weights[0, 1 + distance] == pytest.approx(value, abs=2e-4)
    assert weights.dtype == np.float32


def test_it_falls_with_the_sum_of_both_distances_and_is_symmetric():
    weights = [weigh(gap(width)) for width in range(1, 12)]
    for one in weights:
        np.testing.assert_array_equal(one, one[:, ::-1])
    narrow = [one[0, 2] for one in weights]
    assert narrow == sorted(narrow, reverse=True)
    assert narrow[0] > 5 * narrow[-1]


def random_objects(size, count, radius, seed=0):
    rng = np.random.default_rng(seed)
    places = np.indices(size)
    instances = np.zeros(size, np.int32)
    for number in range(1, count + 1):
        centre = [rng.uniform(0, length) for length in size]
        ball = sum((p - c) ** 2 for p, c in zip(places, centre, strict=True)) < rng.uniform(1, radius) ** 2
        instances[ball & (instances == 0)] = number
    return instances


@pytest.mark.parametrize("background_only", [True, False])
@pytest.mark.parametrize(
    ("size", "spacing", "sigma"),
    [((90, 110), (1.0, 1.0), 5.0), ((90, 110), (0.5, 0.5), 2.0), ((12, 30, 34), (2.0, 0.5, 0.5), 3.0)],
)
def test_against_one_distance_transform_per_object(size, spacing, sigma, background_only):
    instances = random_objects(size, 12, 9)
    ours = weigh(instances, spacing=spacing, sigma=sigma, background_only=background_only)
    scale = np.array(spacing) / min(spacing)
    expected = benchmark.brute_force(instances, scale, 10.0, sigma, background_only)
    deviation = np.abs(ours - expected)
    assert deviation.max() <= 10 * np.exp(-12.5) + 1e-5
    assert (ours > 1.01).any()
    near, second = two_distances(instances, scale, REACH * sigma)
    exact = benchmark.all_distances(instances, scale)
    reached = exact[1] <= REACH * sigma
    np.testing.assert_allclose(near[reached], exact[0][reached], rtol=1e-6)
    np.testing.assert_allclose(second[reached], exact[1][reached], rtol=1e-6)


def test_background_only_is_a_value():
    instances = gap(1)
    assert weigh(instances)[0].tolist() == pytest.approx([1, 1, 10.231, 1, 1], abs=1e-3)
    everywhere = weigh(instances, background_only=False)[0]
    assert everywhere == pytest.approx(1 + 10 * np.exp(-(np.array([3, 2, 2, 2, 3]) ** 2) / 50), abs=1e-5)


@pytest.mark.parametrize("objects", [[], [3]])
def test_fewer_than_two_objects_have_the_weight_of_the_class(objects):
    instances = np.zeros((8, 9), np.int32)
    for number in objects:
        instances[2:4, 2:4] = number
    np.testing.assert_array_equal(weigh(instances), 1)
    weights = weigh(instances, class_frequencies=[0.8, 0.2])
    np.testing.assert_allclose(weights, np.where(instances > 0, 2.5, 0.625))


def test_numbers_of_objects_may_have_gaps_and_ignored_pixels_have_no_weight():
    instances = np.array([[7, 0, 900, 900]])
    label = np.array([[1, 0, 1, 255]], np.uint8)
    assert weigh(instances, label)[0].tolist() == pytest.approx([1, 10.231, 1, 0], abs=1e-3)
    huge = np.array([[2**31 - 1, 0, 5, 5]])
    np.testing.assert_array_equal(weigh(huge, label), weigh(instances, label))
    balanced = weigh(instances, label, class_frequencies=[0.5, 0.5])[0]
    assert balanced.tolist() == pytest.approx([1, 10.231, 1, 0], abs=1e-3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"w0": -1.0}, "task.weight.w0=-1.0: must be at least 0"),
        ({"sigma": 0.0}, "task.weight.sigma=0.0: must be above 0"),
        ({"class_frequencies": [1, 0]}, "has the class 1"),
    ],
)
def test_values_that_cannot_be(settings, message):
    with pytest.raises(UserError, match=message):
        BorderWeight(**settings)


def test_the_task_is_semantic_and_has_the_weight():
    config = configure("task=border_weighted", "task.weight.w0=4")
    schema.check_targets(config)
    config.measured.class_frequencies = [0.5, 0.5]
    weight = instantiate(config.task.weight, _convert_="all")
    assert weight == BorderWeight(w0=4.0, class_frequencies=[0.5, 0.5])
    semantic = OmegaConf.to_container(configure().task)
    assert OmegaConf.to_container(config.task) | {"weight": None} == semantic


def test_a_data_set_without_objects_is_refused_and_told_which_have_some(tmp_path):
    folder(tmp_path / "images")
    config = configure("task=border_weighted", "data=folder", f"data.root={tmp_path / 'images'}")
    with pytest.raises(UserError, match=r"task.weight needs objects, and \w+ has none; .* dsb2018.*synthetic_cells"):
        build_data(config)
    assert {"dsb2018", "synthetic_cells"} <= set(names_with_objects())
    assert "wbc" not in names_with_objects()


def test_a_batch_has_the_weights_of_its_own_patches():
    config = configure(*TINY, "task=border_weighted", "data.patch_size=[64,64]", "augmentation=flips")
    data = build_data(config)
    balance = BorderWeight(class_frequencies=list(config.measured.class_frequencies))
    near = 0
    for k in range(12):
        sample = data.sampler[k]
        weight, label = sample["weight"].numpy(), sample["mask"].numpy()
        assert weight.shape == label.shape == (64, 64)
        alone = balance(Sample(label, label.astype(np.uint8), np.zeros(label.shape, np.int32), (1.0, 1.0)))
        assert (weight >= alone).all()
        assert (weight[label != 0] == alone[label != 0]).all()
        near += (weight > alone + 1).sum()
    assert near > 0


def test_it_trains_and_is_refused_with_a_loss_without_weights(tmp_path):
    assert execute(tmp_path / "run", "task=border_weighted").finished
    with pytest.raises(UserError, match=r"task.weight: .*takes no weights of pixels"):
        execute(tmp_path / "other", "task=border_weighted", "loss=dice")
