"""Extra arrays of cases: stored, provided, cut and transformed in step with image and label, never seen by accident."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segbench.data import normalize
from segbench.data.arrays import ArrayFolder, ArraySpec, LazyArrays
from segbench.data.case import Case, Record
from segbench.data.datasets.synthetic_cells import SyntheticCells
from segbench.data.patches import read_patch
from segbench.data.store import CaseStore
from segbench.errors import UserError
from tests.data.arrays import ArrayCase, random_case
from tests.data.samplers import EVERYTHING, sampler

FORMS = {"prediction": ArraySpec(channels=4), "weights": ArraySpec(), "second": ArraySpec(classes=4)}


class Annotated(SyntheticCells):
    """Cells with three arrays, all of which follow from the label."""

    name = "annotated"
    arrays = FORMS

    def load(self, record: Record) -> Case:
        case = super().load(record)
        assert case.label is not None
        arrays = {
            "prediction": (case.label == np.arange(4).reshape(-1, 1, 1)).astype(np.float32),
            "weights": 1 + case.label.astype(np.float32),
            "second": case.label.copy(),
        }
        return Case(record.id, case.image, case.label, case.spacing, case.group, case.instances, arrays)


def test_they_are_stored_mapped_and_part_of_the_fingerprint(tmp_path: Path) -> None:
    dataset = Annotated(2, [32, 48], 0)
    store = CaseStore(dataset, tmp_path)
    for record in dataset.records():
        case, arrays = dataset.load(record), store[record.id].arrays
        assert list(arrays) == list(FORMS)
        for name, array in case.arrays.items():
            assert isinstance(arrays[name], np.memmap)
            np.testing.assert_array_equal(arrays[name], array)
    again = CaseStore(dataset, tmp_path)
    assert again.fingerprint == store.fingerprint

    class Heavier(Annotated):
        name = "heavier"

        def load(self, record: Record) -> Case:
            case = super().load(record)
            case.arrays["weights"][0, 0] += 1  # type: ignore[index]
            return case

    assert CaseStore(Heavier(2, [32, 48], 0), tmp_path).fingerprint != store.fingerprint


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, r"has the arrays \[\]; .* declares \['prediction', 'second', 'weights'\]"),
        ({"weights": np.zeros((5, 5))}, r"'weights' is 5 x 5, not 32 x 48"),
        ({"prediction": np.zeros((3, 32, 48))}, r"'prediction' is 3 x 32 x 48, not 4 x 32 x 48"),
        ({"weights": np.full((32, 48), np.nan)}, r"'weights' has values that are NaN"),
        ({"weights": np.zeros((32, 48), complex)}, r"'weights' has values of the type complex"),
        ({"second": np.full((32, 48), 4, np.uint8)}, r"'second' is a label map with the value 4 .*: classes 0 to 3"),
    ],
)
def test_arrays_that_are_not_as_declared_are_refused(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    class Wrong(Annotated):
        def load(self, record: Record) -> Case:
            case = super().load(record)
            changed = {**case.arrays, **arrays} if arrays else {}
            return Case(case.id, case.image, case.label, case.spacing, case.group, None, changed)

    with pytest.raises(UserError, match=message):
        CaseStore(Wrong(1, [32, 48], 0), tmp_path)


def test_a_provider_adds_arrays_to_one_view_of_a_store(tmp_path: Path) -> None:
    store = CaseStore(SyntheticCells(2, [32, 48], 0), tmp_path / "cache")
    provider = ArrayFolder(tmp_path / "more", {"stage1": ArraySpec(channels=2)})
    wider = store.with_arrays(provider)
    assert wider.fingerprint == store.fingerprint
    assert list(store.arrays) == []
    assert len(store[store.ids[0]].arrays) == 0
    with pytest.raises(UserError, match="'stage1' of the case cells_0000 is missing"):
        wider["cells_0000"].arrays["stage1"]
    for number, case in enumerate(store.ids):
        provider.write(case, "stage1", np.full((2, 32, 48), number, np.float32))
    assert provider.has("cells_0001", "stage1")
    assert (wider["cells_0001"].arrays["stage1"] == 1).all()
    assert isinstance(wider["cells_0001"].arrays["stage1"], np.memmap)
    provider.write("cells_0000", "stage1", np.zeros((3, 32, 48), np.float32))
    with pytest.raises(UserError, match=r"cells_0000: its array 'stage1' is 3 x 32 x 48, not 2 x 32 x 48"):
        wider.with_arrays(ArrayFolder(tmp_path, {}))["cells_0000"].arrays["stage1"]
    with pytest.raises(UserError, match="have an array 'stage1' already"):
        wider.with_arrays(provider)


def test_nothing_is_made_before_it_is_asked_for() -> None:
    made: list[str] = []
    arrays = LazyArrays(["a", "b"], lambda name: (made.append(name), np.zeros(1))[1])
    assert "a" in arrays
    assert "c" not in arrays
    assert list(arrays) == ["a", "b"]
    assert made == []
    assert arrays["a"] is arrays["a"]
    assert made == ["a"]
    with pytest.raises(KeyError):
        arrays["c"]


@given(st.integers(0, 2**32), st.sampled_from([(20, 24), (8, 9, 7)]))
def test_arrays_stay_in_step_with_image_and_label(seed: int, shape: tuple[int, ...]) -> None:
    """A copy of the image is transformed as the image is, a copy of the instances as they are; mirrored beyond."""
    rng = np.random.default_rng(seed)
    case = random_case(rng, shape)
    arrays = {"image": case.image, "channel": case.image[0].astype(np.float64), "objects": case.instances}
    arrays["each"] = np.stack([case.instances, case.label]) if case.instances is not None else case.label
    case = ArrayCase(case.image, case.label, case.instances, case.spacing, arrays=arrays)  # type: ignore[arg-type]
    patch = tuple(int(length) for length in rng.integers(3, 20, len(shape)))
    draw = EVERYTHING.draw(patch, case.spacing, rng)
    sample = read_patch(case, rng.integers(-6, 12, len(shape)), draw, patch, normalize.none)  # type: ignore[arg-type]
    np.testing.assert_array_equal(sample.arrays["image"], sample.image)
    np.testing.assert_allclose(sample.arrays["channel"], sample.image[0], atol=1e-6)
    assert sample.arrays["channel"].dtype == np.float32
    inside = sample.label != 255
    assert sample.instances is not None
    np.testing.assert_array_equal(sample.arrays["objects"][inside], sample.instances[inside])
    np.testing.assert_array_equal(sample.arrays["each"][0], sample.arrays["objects"])
    np.testing.assert_array_equal(sample.arrays["each"][1][inside], sample.label[inside])
    assert (sample.arrays["each"] != 255).all()  # mirrored, as the image is


def test_a_network_sees_arrays_only_where_they_are_named() -> None:
    case = random_case(np.random.default_rng(0), (30, 30))
    onehot = (case.label == np.arange(4).reshape(-1, 1, 1)).astype(np.float32)
    arrays = {"prediction": onehot, "weights": case.label * 2.0, "second": case.label}
    given = ArrayCase(case.image, case.label, case.instances, case.spacing, "case", arrays)
    for k, names in itertools.product(range(3), ([], ["second"], ["weights", "prediction"])):
        image = sampler([case], (16, 16))[k]["image"].numpy()
        chosen = {name: FORMS[name] for name in names}
        source = sampler([given], (16, 16), input_arrays=chosen)
        seen = source[k]["image"].numpy()
        assert len(seen) == source.network_input.channels(2)
        np.testing.assert_array_equal(seen[:2], image)
        label = source[k]["mask"].numpy()
        if names == ["second"]:
            np.testing.assert_array_equal(seen[2:], label == np.arange(4).reshape(-1, 1, 1))
        elif names:
            np.testing.assert_array_equal(seen[2], 2 * label)
            np.testing.assert_array_equal(seen[3:], label == np.arange(4).reshape(-1, 1, 1))
        whole = source.network_input.of_case(given)  # type: ignore[arg-type]
        assert whole.shape == (len(seen), 30, 30)
        if names == ["second"]:
            np.testing.assert_array_equal(whole[2:], onehot)
