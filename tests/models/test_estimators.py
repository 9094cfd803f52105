"""Models without training steps: what they find, what they learn from masks, and that checkpoints keep it."""

import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage import data, filters, measure, segmentation

from segbench.errors import UserError
from segbench.models.estimator import TrainingCase
from segbench.models.flooding import RegionGrowing, Watershed, grow
from segbench.models.forest import RandomForest, filter_bank
from segbench.models.kmeans import KMeans
from segbench.models.regions import class_table, count_classes, highest_dice, majority, mean_dice, principal_component
from segbench.models.seeds import Seeds
from segbench.models.thresholds import AdaptiveThreshold, Otsu, otsu_thresholds

MODELS = {
    "otsu": Otsu,
    "adaptive": AdaptiveThreshold,
    "growing": RegionGrowing,
    "watershed": Watershed,
    "kmeans": KMeans,
    "forest": lambda *sizes: RandomForest(*sizes, trees=5, sigmas=(1.0,)),
}
every_model = pytest.mark.parametrize("name", MODELS)


def ball(size, centre, radius):
    return sum((line - c) ** 2 for line, c in zip(np.indices(size), centre, strict=True)) < radius**2


def cells(size, seed=0, dark=False, channels=1):
    """A nucleus in a cell on a background: classes 2 in 1 in 0, each brighter than the last, or darker."""
    rng = np.random.default_rng(seed)
    middle = [length / 2 for length in size]
    label = ball(size, middle, min(size) / 2.6).astype(np.uint8) + ball(size, middle, min(size) / 5)
    values = np.array([-1.0, 0.4, 2.0], np.float32) * (-1 if dark else 1)
    noise = rng.normal(0, 0.1, (channels, *size)).astype(np.float32)
    return TrainingCase(values[label][None] + noise, label.astype(np.uint8), (1.0,) * len(size))


def fitted(make, *cases, **choices):
    dims, classes = cases[0].label.ndim, max(2, int(max(case.label[case.label < 255].max() for case in cases)) + 1)
    torch.manual_seed(0)
    model = make(dims, len(cases[0].image), {"mask": classes}, **choices)
    model.fit(cases)
    return model


def predict(model, case):
    return model(torch.from_numpy(case.image)[None])["mask"][0].argmax(0).numpy()


def dice(found, label):
    return np.mean(
        [2 * ((found == k) & (label == k)).sum() / ((found == k).sum() + (label == k).sum()) for k in range(3)]
    )


# What all have in common


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


# Which region is which class


def test_table_of_counts():
    regions, label = np.array([[0, 0, 1], [1, 1, 0]]), np.array([[0, 1, 1], [1, 255, 0]], np.uint8)
    counts = count_classes(regions, label, 3, 2)
    np.testing.assert_array_equal(counts, [[2, 1], [0, 2], [0, 0]])
    np.testing.assert_allclose(np.exp(class_table(counts, majority)), [[0.6, 0.4], [0.25, 0.75], [0.5, 0.5]], rtol=1e-6)


def test_dice_of_an_assignment_is_that_of_the_pixels():
    rng = np.random.default_rng(0)
    regions, label = rng.integers(0, 4, 500), rng.integers(0, 3, 500)
    chosen = np.array([2, 0, 1, 1])
    expected = dice(chosen[regions], label)
    assert mean_dice(count_classes(regions, label, 4, 3), chosen) == pytest.approx(expected)


def test_rare_classes_lose_a_vote_and_win_by_dice():
    counts = np.array([[90, 0, 0], [40, 30, 5], [30, 0, 20]])
    np.testing.assert_array_equal(majority(counts), [0, 0, 0])
    np.testing.assert_array_equal(highest_dice(counts), [0, 1, 2])
    np.testing.assert_array_equal(class_table(counts, highest_dice).argmax(1), [0, 1, 2])
    with pytest.raises(UserError, match=r"model\.assign=dice: 12 regions .* model\.assign=vote"):
        highest_dice(np.ones((12, 3)))


def test_the_channel_that_shows_the_classes_is_found():
    case = cells((40, 40))
    rng = np.random.default_rng(0)
    image = np.concatenate([rng.normal(0, 3, (1, 40, 40)), case.image, rng.normal(0, 3, (1, 40, 40))]).astype(
        np.float32
    )
    hidden = TrainingCase(image, case.label, case.spacing)
    np.testing.assert_array_equal(fitted(Otsu, hidden).learnt.weights, [0, 1, 0])
    assert dice(predict(fitted(Otsu, hidden, channel=1), hidden), case.label) > 0.95
    assert dice(predict(fitted(Otsu, hidden, channel="mean"), hidden), case.label) < 0.8


def test_principal_component():
    rng = np.random.default_rng(0)
    direction = np.array([0.6, 0.0, 0.8])
    image = (direction[:, None, None] * rng.normal(2, 3, (30, 30)) + rng.normal(0, 0.1, (3, 30, 30))).astype(np.float32)
    np.testing.assert_allclose(principal_component([TrainingCase(image, None, ())]), direction, atol=0.02)


def test_largest_region_is_background_whether_bright_or_dark():
    bright, dark = cells((40, 40)), cells((40, 40), dark=True)
    two = [TrainingCase(case.image, (case.label > 0).astype(np.uint8), case.spacing) for case in (bright, dark)]
    assert fitted(Otsu, *two).learnt.rank == "area"
    assert fitted(Otsu, two[0]).learnt.rank == "brightness"
    for case in two:
        assert np.mean(predict(fitted(Otsu, *two), case) == case.label) > 0.9
        assert np.mean(predict(fitted(Otsu, two[0]), case) == case.label) == pytest.approx(
            float(case is two[0]), abs=0.1
        )


# Thresholds


@pytest.mark.parametrize("picture", [data.coins, data.camera, data.page])
def test_otsu_thresholds_are_those_of_scikit_image(picture):
    grey = picture().astype(np.float32)
    assert otsu_thresholds(grey, 2) == [filters.threshold_otsu(grey)]
    np.testing.assert_array_equal(otsu_thresholds(grey, 3), filters.threshold_multiotsu(grey, 3))


def test_otsu_between_two_peaks_maximises_the_variance_between_classes():
    peaks = np.repeat([3.0, 8.0], 50).reshape(10, 10)
    (threshold,) = otsu_thresholds(peaks, 2)
    assert 3 <= threshold < 8
    rng = np.random.default_rng(0)
    grey = np.concatenate([rng.normal(0, 1, 700), rng.normal(4, 1.5, 300)])

    def between(t):
        low, high = grey[grey <= t], grey[grey > t]
        return len(low) * len(high) * (low.mean() - high.mean()) ** 2

    (threshold,) = otsu_thresholds(grey, 2)
    candidates = np.linspace(grey.min(), grey.max(), 1000)[1:-1]
    assert between(threshold) >= 0.999 * max(map(between, candidates))


def test_otsu_does_not_depend_on_brightness_and_contrast():
    case = cells((40, 40))
    model = fitted(Otsu, case)
    changed = TrainingCase(case.image * 37 - 5, case.label, case.spacing)
    np.testing.assert_array_equal(predict(model, changed), predict(model, case))


def test_few_intensities_give_fewer_regions():
    assert len(otsu_thresholds(np.array([0.0, 0, 1, 1]), 4)) == 1
    assert len(otsu_thresholds(np.zeros(5), 3)) == 0


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("method", ["mean", "gaussian", "niblack", "sauvola"])
def test_local_thresholds_see_disks_under_uneven_light(method, dark):
    size = (120, 120)
    disks = np.any([ball(size, (y, x), 8) for y in (20, 60, 100) for x in (20, 60, 100)], axis=0)
    image = (np.where(disks, -1, 0) if dark else disks) + np.linspace(0, 6, 120)
    case = TrainingCase(image[None].astype(np.float32), disks.astype(np.uint8), (1.0, 1.0))
    local = fitted(AdaptiveThreshold, case, method=method, window=41, offset=0.4, k=0.1 if method == "sauvola" else 0.8)
    wrong = [np.mean(predict(model, case) != disks) for model in (local, fitted(Otsu, case))]
    assert wrong[0] < 0.08
    assert wrong[1] > 0.1


@pytest.mark.parametrize("method", ["mean", "gaussian", "niblack", "sauvola"])
def test_a_constant_image_has_nothing_bright_or_dark(method):
    regions = AdaptiveThreshold(2, 1, {"mask": 2}, method=method).regions(np.full((30, 30), 5.0, np.float32))
    np.testing.assert_array_equal(regions, 1)


def test_niblack_and_sauvola_by_their_formulas():
    grey = data.coins()[:60, :60].astype(np.float64)
    grey = (grey - grey.min()) * 255 / np.ptp(grey)
    mean = ndimage.uniform_filter(grey, 11, mode="mirror")
    deviation = np.sqrt(np.maximum(ndimage.uniform_filter(grey**2, 11, mode="mirror") - mean**2, 0))
    inside = (slice(6, -6),) * 2
    niblack = AdaptiveThreshold(2, 1, {"mask": 2}, method="niblack", window=11, k=0.3).regions(grey)
    np.testing.assert_array_equal((niblack == 0)[inside], (grey < mean - 0.3 * deviation)[inside])
    np.testing.assert_array_equal((niblack == 2)[inside], (grey > mean + 0.3 * deviation)[inside])
    sauvola = AdaptiveThreshold(2, 1, {"mask": 2}, method="sauvola", window=11, k=0.3)
    dark = grey < mean * (1 + 0.3 * (deviation / 128 - 1))
    np.testing.assert_array_equal((sauvola.regions(grey) == 0)[inside], dark[inside])
    np.testing.assert_array_equal((sauvola.regions(-grey) == 2)[inside], dark[inside])


# Seeds, region growing, watershed


@pytest.mark.parametrize("rule", ["core", "peak", "sure"])
def test_seeds_lie_in_their_region(rule):
    grey = cells((48, 48)).image[0]
    markers = Seeds(3, rule, 3.0, 0.3)(grey)
    regions = np.digitize(grey, otsu_thresholds(grey, 3), right=True)
    assert set(np.unique(markers)) == {0, 1, 2, 3}
    np.testing.assert_array_equal(markers[markers > 0] - 1, regions[markers > 0])


def test_core_seeds_are_deep_inside():
    grey = np.zeros((20, 20), np.float32)
    grey[:, 10:] = 1
    markers = Seeds(2, "core", 4.0, 0.3)(grey)
    np.testing.assert_array_equal(markers, np.broadcast_to(np.repeat([1, 0, 2], [7, 6, 7]), (20, 20)))


@pytest.mark.parametrize("tolerance", [0, 12, 40])
def test_growing_from_one_seed_is_scikit_images_flood(tolerance):
    grey = data.coins()[:80, :100].astype(np.int64)
    seeds = np.zeros(grey.shape, bool)
    seeds[40, 50] = True
    for connectivity in (1, 2):
        structure = ndimage.generate_binary_structure(2, connectivity)
        found = grow(grey, seeds, float(grey[40, 50]), tolerance, structure)
        expected = segmentation.flood(grey, (40, 50), tolerance=tolerance, connectivity=connectivity)
        np.testing.assert_array_equal(found, expected)


def test_growing_is_monotone_and_keeps_its_seeds():
    rng = np.random.default_rng(0)
    grey, seeds = rng.normal(size=(9, 10, 11)), rng.random((9, 10, 11)) < 0.01
    structure = ndimage.generate_binary_structure(3, 1)
    before = grow(grey, seeds, 0.0, 0.0, structure)
    np.testing.assert_array_equal(before, seeds)
    for tolerance in (0.2, 0.5, 1.0, 9.0):
        after = grow(grey, seeds, 0.0, tolerance, structure)
        assert (after >= before).all()
        before = after
    assert before.all()


def test_what_no_seed_grows_to_is_a_region_of_its_own():
    grey = np.concatenate([np.zeros(40), np.full(3, 5.0), np.full(40, 10.0)]).astype(np.float32)[None].repeat(30, 0)
    growing = RegionGrowing(2, 1, {"mask": 2}, tolerance=1.0)
    seeds = growing.seeds(grey)
    regions = growing.regions(grey)
    assert (regions[:, 10] == 0).all()
    assert (regions[:, -10] == 1).all()
    assert (regions[:, 41] == 2).all() or (seeds[:, 41] > 0).any()


def test_watershed_ends_at_the_edge_where_otsu_does_not():
    """A blurred edge on a slope: the gradient is steepest at the edge, the threshold is where it is not."""
    x = np.arange(90)
    line = np.clip((x - 30) / 60, 0, None) * 2 + 3 / (1 + np.exp(-(x - 30.5)))
    grey = np.broadcast_to(line, (60, 90)).astype(np.float32)
    edge = [int((model.regions(grey) == 0)[30].sum()) for model in (Watershed(2, 1, {"mask": 2}, seeds="sure"),)]
    assert abs(edge[0] - 31) <= 1


# k-means


def test_kmeans_recovers_two_groups_of_colours():
    rng = np.random.default_rng(0)
    label = (rng.random((40, 50)) < 0.3).astype(np.uint8)
    image = np.where(label, [[[4.0]], [[0.0]]], [[[0.0]], [[4.0]]]) + rng.normal(0, 0.5, (2, 40, 50))
    case = TrainingCase(image.astype(np.float32), label, (1.0, 1.0))
    for per_image in (False, True):
        model = fitted(KMeans, case, clusters=2, per_image=per_image)
        np.testing.assert_array_equal(predict(model, case), label)


def test_centres_are_those_of_lloyd_and_sorted_by_brightness():
    case = cells((40, 40), channels=3)
    centres = fitted(KMeans, case, clusters=3).learnt.centres
    np.testing.assert_array_equal(np.argsort(centres.mean(1)), [0, 1, 2])
    pixels = case.image.reshape(3, -1).T
    nearest = ((pixels[:, None] - centres) ** 2).sum(-1).argmin(1)
    np.testing.assert_allclose(centres, [pixels[nearest == k].mean(0) for k in range(3)], atol=1e-3)


def test_place_divides_an_image_without_contrast():
    label = np.repeat([0, 1], 20)[None].repeat(8, 0).astype(np.uint8)
    noise = np.random.default_rng(0).normal(0, 0.01, (1, 8, 40)).astype(np.float32)
    case = TrainingCase(noise, label, (1.0, 1.0))
    assert np.mean(predict(fitted(KMeans, case, clusters=8, place=0.0), case) != label) > 0.3
    assert np.mean(predict(fitted(KMeans, case, clusters=8, place=1.0), case) != label) < 0.2


# Random forest


@pytest.mark.parametrize("size", [(40, 44), (14, 15, 16)])
def test_filter_bank_of_a_quadratic_image(size):
    """f = 3 x^2: its Hessian has the eigenvalues 6 and 0, its gradient the length 6 x, smoothing adds 3 s^2."""
    x = np.arange(size[-1], dtype=np.float32) - size[-1] / 2
    image = np.broadcast_to(3 * x**2, (1, *size)).astype(np.float32)
    responses = filter_bank(image, [1.0, 1.5])
    dims = len(size)
    assert responses.shape == (1 + 2 * (2 + dims), *size)
    centre = (slice(None), *(length // 2 for length in size))
    expected = [0, 3, 0, 6, *[0] * (dims - 1), 6.75, 0, 6, *[0] * (dims - 1)]
    np.testing.assert_allclose(responses[centre], expected, atol=0.02)
    beside = (*centre[:-1], centre[-1] + 1)
    assert responses[beside][2] == pytest.approx(6, abs=0.02)


def test_forest_sees_texture_that_no_threshold_can():
    rng = np.random.default_rng(0)

    def case():
        label = np.zeros((60, 60), np.uint8)
        label[:, 30:] = 1
        rough = np.where(
            label, rng.normal(0, 1, label.shape), ndimage.gaussian_filter(rng.normal(0, 1, label.shape), 2) * 7
        )
        return TrainingCase(rough[None].astype(np.float32), label, (1.0, 1.0))

    train, unseen = [case(), case()], case()
    forest = fitted(lambda *sizes: RandomForest(*sizes, trees=20), *train)
    assert np.mean(predict(forest, unseen) == unseen.label) > 0.9
    assert np.mean(predict(fitted(Otsu, *train), unseen) == unseen.label) < 0.7


def test_a_balanced_forest_finds_more_of_a_rare_class():
    rng = np.random.default_rng(0)
    label = (rng.random((80, 80)) < 0.03).astype(np.uint8)
    image = (label + rng.normal(0, 0.8, label.shape))[None].astype(np.float32)
    case = TrainingCase(image, label, (1.0, 1.0))
    found = [
        predict(
            fitted(lambda *s, b=b: RandomForest(*s, trees=10, leaf=40, sigmas=(1.0,), balanced=b), case), case
        ).mean()
        for b in (False, True)
    ]
    assert found[0] < label.mean() < found[1]


def test_a_class_that_no_case_has():
    case = cells((40, 40))
    two = TrainingCase(case.image, np.minimum(case.label, 1), case.spacing)
    forest = RandomForest(2, 1, {"mask": 4}, trees=3, sigmas=(1.0,))
    forest.fit([two])
    assert set(np.unique(predict(forest, case))) <= {0, 1}


# Impossible values


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


def test_objects_of_the_watershed_are_as_many_as_markers():
    grey = cells((48, 48)).image[0]
    labels = measure.label(Watershed(2, 1, {"mask": 3}).regions(grey) + 1)
    assert labels.max() == 3
