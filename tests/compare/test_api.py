"""The three functions for users of other frameworks."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from segbench.compare import pairwise, rank, rank_sums
from segbench.errors import UserError

TABLE = Path(__file__).parent / "reference" / "architecture_table.csv"


def test_the_published_table():
    frame = pd.read_csv(TABLE).melt(["dataset", "class"], var_name="method").assign(case=0)
    sums = rank_sums(rank(frame, better="larger", ranking="tiers", cuts=(0, 0.0245, 0.05, 0.1, 0.15)))
    assert sums.loc["total"].tolist() == [42, 40, 36, 37, 29, 26, 22, 26, 36, 25]
    assert sums.index.tolist() == ["prostate", "breast", "total"]


def test_ranks_and_rank_sums(frame):
    ranks = rank(frame, better="larger")
    assert ranks.index.tolist() == [("d", "dice", "a"), ("d", "dice", "b")]
    assert ranks["good"].tolist() == [1, 1]
    assert rank(frame, better="smaller")["good"].tolist() == [2, 2]
    assert rank(frame, better={"dice": "smaller"}, ranking="per_case")["good"].tolist() == [2, 2]
    both = rank(pd.concat([frame, frame.assign(metric="iou")]), better="larger")
    assert rank_sums(both)["bad"].tolist() == [8, 8]
    assert rank_sums(both, ["iou"])["bad"].tolist() == [4, 4]


def test_pairwise(frame):
    table = pairwise(frame, better="larger")
    assert table["method"].tolist() == ["good", "good"]
    np.testing.assert_allclose(table["difference"], 0.2)
    assert table["wins"].tolist() == [3, 3]


def test_a_direction_is_never_guessed(frame):
    with pytest.raises(TypeError, match="better"):
        rank(frame)
    with pytest.raises(UserError, match="metric 'dice': not known whether larger or smaller is better"):
        rank(frame, better={"iou": "larger"})
    with pytest.raises(UserError, match="metric 'dice': better=up must be larger or smaller"):
        pairwise(frame, better="up")


def test_errors(frame):
    with pytest.raises(UserError, match="column 'case' is missing"):
        rank(frame.drop(columns="case"), better="larger")
    with pytest.raises(UserError, match="name a policy"):
        rank(frame.drop(index=[0, 1]), better="larger")
    assert rank(frame.drop(index=[0, 1]), better="larger", missing="worst")["good"].tolist() == [1, 1]
    with pytest.raises(UserError, match="ranking=best: unknown"):
        rank(frame, better="larger", ranking="best")


def test_heavy_libraries_are_not_imported():
    code = "import sys, segbench.compare, segbench.commands.compare; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "lightning", "matplotlib", "scipy.stats", "wandb", "rich"} & set(modules)
