"""Names and numbers of classes and of objects."""

import numpy as np
import pytest
import tifffile

from segbench.commands.evaluate_masks import evaluate_masks
from segbench.data.case import check_classes
from segbench.data.configured import dataset_of, open_dataset
from segbench.errors import UserError
from segbench.runs.directory import read_cases
from tests.data_sets import folder
from tests.made_runs import configure


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("[0,1]", "has 0 as the name of class 0"),
        ("[false,true]", "has false as the name of class 0"),
        ("[background,null]", "has null as the name of class 1: names are text, such as 'null' in quotes"),
        ("[a,a]", "classes 0 and 1 are both called 'a'"),
        ("[a,'']", "the name of class 1 is empty"),
        ("[a,' ']", "the name of class 1 is empty"),
    ],
)
def test_names_are_text_each_once_and_not_empty(tmp_path, names, message):
    config = configure("data=folder", f"data.root={tmp_path}", f"data.dataset.classes={names}")
    with pytest.raises(UserError, match=message):
        dataset_of(config.data)
    with pytest.raises(UserError, match=message):
        check_classes(list(config.data.dataset.classes), "classes")


def many(tmp_path, count):
    """A folder whose masks have as many classes."""
    folder(tmp_path, cases=1, size=(16, 32))
    label = (np.arange(512) % count).astype(np.uint16).reshape(16, 32)
    (mask,) = (tmp_path / "masks").iterdir()
    mask.unlink()
    tifffile.imwrite(mask.with_suffix(".tif"), label)
    names = ",".join(f"c{index}" for index in range(count))
    return label, configure("data=folder", f"data.root={tmp_path}", f"data.dataset.classes=[{names}]",
                            f"data.cache={tmp_path / 'cache'}").data  # fmt: skip


def test_as_many_classes_as_a_label_holds(tmp_path):
    label, config = many(tmp_path, 255)
    _, store = open_dataset(config)
    np.testing.assert_array_equal(store[store.ids[0]].label, label)
    assert store.meta(store.ids[0]).ignored == 0
    assert len(store.meta(store.ids[0]).present) == 255


@pytest.mark.parametrize("count", [256, 300])
def test_more_classes_are_refused(tmp_path, count):
    _, config = many(tmp_path, count)
    with pytest.raises(UserError, match=rf"data\.dataset\.classes has {count} names: at most 255"):
        open_dataset(config)
    masks = f"prediction={tmp_path / 'masks'}", f"reference={tmp_path / 'masks'}"
    with pytest.raises(UserError, match=r"at most 255 .* masks_are=instances"):
        evaluate_masks(configure(*masks, "metrics=overlap", command="evaluate"))


@pytest.mark.parametrize("count", [300, 70_000])
def test_objects_are_not_bounded_by_eight_or_sixteen_bits(tmp_path, count):
    folder(tmp_path, cases=1, size=(300, 300))
    instances = np.zeros(90_000, np.uint32)
    instances[:count] = np.arange(1, count + 1)
    (mask,) = (tmp_path / "masks").iterdir()
    mask.unlink()
    tifffile.imwrite(mask.with_suffix(".tif"), instances.reshape(300, 300))
    where = ("data=folder", f"data.root={tmp_path}", f"data.cache={tmp_path / 'cache'}")
    _, store = open_dataset(configure(*where, "data.dataset.masks_are=instances").data)
    assert store.meta(store.ids[0]).objects == count
    np.testing.assert_array_equal(store[store.ids[0]].instances, instances.reshape(300, 300))
    masks = f"prediction={tmp_path / 'masks'}", f"reference={tmp_path / 'masks'}", f"output={tmp_path / 'scores.csv'}"
    evaluate_masks(configure(*masks, "metrics=standard", "masks_are=instances", command="evaluate"))
    scores = read_cases(tmp_path / "scores.csv")
    of_objects = scores[scores["class"] == "objects"]
    assert set(of_objects["n_ref"]) == set(of_objects["n_pred"]) == {count}
