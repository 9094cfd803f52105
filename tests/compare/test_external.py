"""Scores made by other tools."""

from pathlib import Path

import numpy as np
import pytest

from segbench.compare.reading.external import read_score_table
from segbench.compare.reading.methods import Rules, load_table
from segbench.compare.statistics.comparison import Settings, compare_scores
from segbench.compare.statistics.verdict import judge
from segbench.errors import UserError

TABLE = Path(__file__).parent / "reference" / "architecture_table.csv"
PRINTED_CUTS = (0.0, 0.0245, 0.05, 0.10, 0.15)


def write(folder, text):
    path = folder / "scores.csv"
    path.write_text(text)
    return path


def test_the_published_table_as_it_stands():
    loaded = load_table(TABLE, ["f1"], Rules(better="larger"))
    comparison = compare_scores(loaded.sets, Settings(("f1",), ranking="tiers", cuts=PRINTED_CUTS))
    assert comparison.methods == tuple("ABCDEFGHIJ")
    assert comparison.standings["prostate"].rank_sums.tolist() == [20, 19, 17, 19, 13, 13, 8, 8, 12, 7]
    assert comparison.standings["breast"].rank_sums.tolist() == [22, 21, 19, 18, 16, 13, 14, 18, 24, 18]
    assert comparison.total.rank_sums.tolist() == [42, 40, 36, 37, 29, 26, 22, 26, 36, 25]
    assert "tests compare 8 classes" in comparison.notes[0]
    assert not judge(comparison).decided


def test_column_means_of_the_published_table():
    comparison = compare_scores(load_table(TABLE, ["f1"], Rules(better="larger")).sets, Settings(("f1",)))
    means = [0.649, 0.704, 0.724, 0.700, 0.762, 0.760, 0.782, 0.778, 0.756, 0.784]
    np.testing.assert_allclose(comparison.summaries[0][-1], means, atol=6e-4)


def test_a_long_table_of_cases(tmp_path):
    lines = ["method,case,value,group,remark"]
    lines += [f"{m},{c},{0.5 + 0.1 * (m == 'a') + c / 100},{c // 2},x" for m in "ab" for c in range(12)]
    loaded = load_table(write(tmp_path, "\n".join(lines)), ["score"], Rules(better="larger"))
    (scores,) = loaded.sets
    assert scores.methods == ("a", "b")
    assert scores.grouped
    assert judge(compare_scores(loaded.sets, Settings(("score",), bootstraps=100))).best == "a"


def test_renaming_and_missing_values(tmp_path):
    path = write(tmp_path, "class,A,B\nx,0.1,0.2\ny,,0.3\n")
    with pytest.raises(UserError, match=r"'A' has no score of 'y'"):
        load_table(path, ["score"], Rules(better="larger"))
    loaded = load_table(path, ["score"], Rules(better="larger", missing="worst", rename={"A": "ours"}))
    assert loaded.sets[0].values[1, 0, 0] == 0
    assert loaded.sets[0].methods == ("ours", "B")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read as CSV"),
        ("class,A,B\n", "has no lines"),
        ("row,A,B\nx,1,2\n", "neither 'class' nor 'method' is a column"),
        ("class,A,B\nx,1,good\n", "line 2: B is 'good', not a number"),
        ("class,A,B\nx,1,inf\n", "line 2: B is 'inf', not a number"),
        ("class,A,B\nx,1,2\nx,1,2\n", "line 3: class 'x' is there twice"),
        ("method,value\na,1\n", "column 'case' is missing"),
        ("method,case,value\na,1,0.5\na,1,0.5\n", "line 3: method 'a', case '1' is there twice"),
        ("class,A\nx,1\n", "only one method"),
    ],
)
def test_clear_errors(tmp_path, text, message):
    def compare():
        return compare_scores(
            load_table(write(tmp_path, text), ["score"], Rules(better="larger")).sets, Settings(("score",))
        )

    with pytest.raises(UserError) as error:
        compare()
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="there is no such file"):
        read_score_table(tmp_path / "none.csv")


def test_a_direction_is_asked_for_and_not_guessed(tmp_path):
    path = write(tmp_path, "class,A,B\nx,1,2\n")
    with pytest.raises(UserError, match="metric 'hd95': not known whether larger or smaller is better"):
        load_table(path, ["hd95"], Rules())
    assert not load_table(path, ["hd95"], Rules(better={"hd95": "smaller"})).sets[0].larger.any()
    assert not load_table(path, ["hd95"], Rules(better="smaller")).sets[0].larger.any()
