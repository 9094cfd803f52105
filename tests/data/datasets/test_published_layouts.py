"""What all data sets that are not on this machine have in common, by small files in their layout."""

from pathlib import Path

import numpy as np
import pytest

from segbench.commands.prepare import prepare
from segbench.config.instantiation import build
from segbench.data.splits import make_split
from segbench.data.store import CaseStore
from segbench.errors import UserError
from tests.data.datasets.reading import Read
from tests.data_layouts import MAKERS
from tests.made_runs import configure


@pytest.mark.parametrize("name", MAKERS)
def test_every_data_set_can_be_trained_on(read: Read, name: str, tmp_path: Path) -> None:
    dataset = read(name)
    store = CaseStore(dataset, tmp_path / "cache")
    assert all(sum(store.meta(case).pixels) for case in store.ids)
    for case in store.ids:
        stored = store[case]
        assert stored.label.shape == stored.image.shape[1:]
        if dataset.has_instances:
            assert stored.instances is not None
            np.testing.assert_array_equal(stored.instances > 0, stored.label == 1)
    present = {case: store.meta(case).present for case in store.ids}
    folds = 3 if name in ("drive", "cell_tracking") else 5
    if name != "epfl_mitochondria":  # its two made stacks have one block each
        split = make_split(dataset.records(), present, folds=folds, fold=0, seed=0)
        assert min(map(len, (split.train, split.validation, split.test))) > 0


@pytest.mark.parametrize("name", MAKERS)
def test_prepare(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = configure(f"data={name}", f"data.root={tmp_path / name}", f"data.cache={tmp_path}", command="prepare")
    with pytest.raises(UserError, match=r"there is no .*; data\.root must name a folder with .* from http") as error:
        prepare(config)
    assert "\n" not in str(error.value)
    source = type(build(config.data.dataset, "data.dataset")).source
    printed = " ".join(capsys.readouterr().out.split())
    for text in (source.address, source.licence, source.citation, source.layout):
        assert " ".join(text.split()[:3]) in printed
    MAKERS[name](tmp_path / name)
    prepare(config)
    printed = " ".join(capsys.readouterr().out.split())
    assert "ready" in printed
    assert ("were published" in printed) == (name != "cell_tracking")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("bach", ["downsample=8", "downsample=4"]),
        ("epfl_mitochondria", ["block_size=5", "block_size=6", "spacing=5e-6"]),
        ("cell_tracking", ["truth=gold", "truth=silver", "test=[]", "block_size=null"]),
        ("glas", ["test=A", "test=B"]),
        ("drive", ["parts=[training]", "parts=[training,test]"]),
    ],
)
def test_another_value_is_another_cache(read: Read, tmp_path: Path, name: str, values: list[str]) -> None:
    MAKERS[name](tmp_path / name)
    sets = [read(name, f"data.dataset.{value}", made=False) for value in values]
    assert len({CaseStore(dataset, tmp_path / "cache").folder for dataset in sets}) == len(values)
