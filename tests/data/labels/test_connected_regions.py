"""Objects that are connected regions of some classes: of a label map, in the cache, and of a prediction."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from skimage import measure

from segbench.config.invocation import Invocation
from segbench.data.case import Case, Dataset, Record, Source
from segbench.data.datasets.isbi2012 import Isbi2012
from segbench.data.labels.connected_regions import connected_regions
from segbench.data.store import CaseStore
from segbench.training.assembly import Labels, build_decoder
from tests.made_runs import configure


def same_objects(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two instance maps agree but for the numbers."""
    pairs = np.unique(np.stack([one.ravel(), other.ravel()]), axis=1)
    alike = len(np.unique(pairs[0])) == len(np.unique(pairs[1])) == pairs.shape[1]
    return alike and np.array_equal(one == 0, other == 0)


@given(st.integers(0, 2**32), st.sets(st.integers(0, 3)), st.integers(1, 2), st.integers(0, 4))
def test_regions_are_those_of_scikit_image(seed: int, classes: set[int], connectivity: int, minimum: int) -> None:
    label = np.random.default_rng(seed).integers(0, 4, (9, 11)).astype(np.uint8)
    regions = connected_regions(label, sorted(classes), connectivity, minimum)
    every = measure.label(
        np.where(np.isin(label, list(classes)), label.astype(int), -1), background=-1, connectivity=connectivity
    )
    small = [region.label for region in measure.regionprops(every) if region.area < minimum]
    assert same_objects(regions, np.where(np.isin(every, small), 0, every))
    assert regions.dtype == np.int32


class Stripes(Dataset):
    """Four stripes of cell between three of membrane; the label is all that is given."""

    name = "stripes"
    classes = ("cell", "membrane")
    channels = 1
    has_instances = True
    source = Source("nowhere", "none", "none", "nothing")

    def records(self) -> list[Record]:
        return [Record("a", "a")]

    def load(self, record: Record) -> Case:
        label = (np.indices((8, 15))[1] % 4 == 3).astype(np.uint8)
        label[0, 0] = 255
        return Case(record.id, label[None] * 100, label, (1.0, 1.0), record.group)


class CellStripes(Stripes):
    objects = (0,)


@pytest.mark.parametrize(("dataset", "objects"), [(Stripes(), 3), (CellStripes(), 4)])
def test_the_cache_has_the_regions_of_the_object_classes(dataset: Dataset, objects: int, tmp_path: Path) -> None:
    store = CaseStore(dataset, tmp_path)
    assert store.meta("a").objects == objects
    label, instances = store["a"].label, store["a"].instances
    assert instances is not None
    assert same_objects(instances, measure.label(label == dataset.object_classes[0], connectivity=1))
    assert instances[0, 0] == 0  # ignored pixels belong to no object


def write_isbi(root: Path) -> None:
    rng = np.random.default_rng(0)
    labels = np.full((30, 48, 48), 255, np.uint8)
    labels[:, ::12] = 0
    labels[:, :, ::16] = 0
    images = np.clip(labels * 0.5 + rng.normal(60, 20, labels.shape), 0, 255).astype(np.uint8)
    root.mkdir()
    tifffile.imwrite(root / "train-volume.tif", images, photometric="minisblack")
    tifffile.imwrite(root / "train-labels.tif", labels, photometric="minisblack")


def test_isbi2012_has_cells_as_objects_and_the_fingerprint_of_before(tmp_path: Path) -> None:
    write_isbi(tmp_path / "isbi2012")
    dataset = Isbi2012(str(tmp_path / "isbi2012"), 6, 4)
    store = CaseStore(dataset, tmp_path / "cache")
    assert {store.meta(case).objects for case in store.ids} == {12}
    before = Isbi2012(str(tmp_path / "isbi2012"), 6, 4)
    before.has_instances, before.objects = False, None  # as in versions without objects
    old = CaseStore(before, tmp_path / "cache")
    assert old.folder != store.folder  # whose cache has no instances
    assert old.fingerprint == store.fingerprint  # and whose runs were trained on the same images and labels


def test_a_decoder_finds_the_objects_of_the_data_set() -> None:
    label = np.array([[0, 0, 1, 0], [0, 0, 1, 0]], np.uint8)
    decoder = build_decoder(configure(), Labels.of(CellStripes()))
    assert same_objects(decoder.instances({}, label), np.array([[1, 1, 0, 2], [1, 1, 0, 2]]))
    decoder = build_decoder(configure(), Labels.of(Stripes()))
    assert same_objects(decoder.instances({}, label), label)


def test_a_run_on_cells_and_membranes_scores_cells(tmp_path: Path) -> None:
    """Also a run of an earlier version, whose run.json does not name the classes that form objects."""
    from segbench.commands.evaluate_run import evaluate_run
    from segbench.runs.directory import read_cases
    from segbench.training.run import run

    write_isbi(tmp_path / "isbi2012")
    config = configure(
        "data=isbi2012", f"data.root={tmp_path / 'isbi2012'}", f"data.cache={tmp_path / 'cache'}", "trainer=debug",
        "data.patch_size=[32,32]", "data.batch_size=2", "data.workers=0", "model.channels=[4,8]", "logger=none",
        "metrics=isbi2012", "metrics.receptive_field=false", "trainer.progress=false", "trainer.max_steps=2",
    )  # fmt: skip
    directory = run(config, Invocation(tmp_path / "run", "test", {}, []))
    cases = read_cases(directory.cases)
    objects = cases[cases["class"] == "objects"]
    assert set(objects["metric"]) == {"rand_score", "information_score", "adapted_rand_error"}
    assert set(objects["n_ref"]) == {12}
    record = json.loads((directory.path / "run.json").read_text())
    assert record["dataset"]["objects"] == [0]
    assert record["metrics"] == {
        "dice": "larger", "iou": "larger", "pixel_error": "smaller",
        "rand_score": "larger", "information_score": "larger", "adapted_rand_error": "smaller",
    }  # fmt: skip

    del record["dataset"]["objects"]
    (directory.path / "run.json").write_text(json.dumps(record))
    evaluate_run(configure(f"run={directory.path}", command="evaluate"))
    again = read_cases(directory.path / "cases.csv")
    np.testing.assert_allclose(again["value"], cases["value"], atol=1e-5)
