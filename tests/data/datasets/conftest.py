from pathlib import Path

import pytest

from segbench.config.instantiation import build
from segbench.data.case import Case, Dataset
from tests.data.datasets.reading import Read
from tests.data_layouts import MAKERS
from tests.made_runs import configure


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Gives the configured data set of files made on the spot (or of what is there, with made=False)."""

    def make(name: str, *overrides: str, made: bool = True) -> Dataset:
        if made:
            MAKERS[name](tmp_path / name)
        config = configure(f"data={name}", f"data.root={tmp_path / name}", *overrides, command="prepare")
        dataset = build(config.data.dataset, "data.dataset")
        assert isinstance(dataset, Dataset)
        return dataset

    return make


@pytest.fixture(scope="module")
def cases(dataset: Dataset) -> list[Case]:
    """All cases of the data set that a module's own fixture gives."""
    return [dataset.load(record) for record in dataset.records()]
