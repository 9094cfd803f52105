"""Reading run directories: what is found, what is refused, in one line each."""

import json
import shutil

import numpy as np
import pytest

from segbench.compare.reading.methods import Rules, load_runs
from segbench.compare.reading.runs import read_runs, read_scores
from segbench.errors import UserError
from segbench.runs.discovery import find_runs
from tests.compare.fake_runs import COLUMNS, QUALITIES, make_run, make_sweep, score_rows, write_table

CHOICES = {"model": "unet", "loss": "dice"}


def load(folder, **rules):
    return load_runs(find_runs(str(folder)), Rules(**rules))


def test_run_directories_are_found_at_any_depth_and_by_glob(tmp_path):
    deep = make_run(tmp_path / "a" / "b", choices=CHOICES, quality=0.8)
    flat = make_run(tmp_path / "c", choices=CHOICES, quality=0.8, seed=1)
    (tmp_path / "c" / ".hidden").mkdir()
    assert set(find_runs(str(tmp_path))) == {deep, flat}
    assert find_runs([str(tmp_path / "c"), str(flat), str(tmp_path / "c" / "*")]) == [flat]
    assert find_runs(f"{tmp_path}/**/b") == [deep]


def test_nothing_to_find(tmp_path):
    with pytest.raises(UserError, match="there is no such folder"):
        find_runs(str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="no run directory in there"):
        find_runs(str(tmp_path))


def test_scores_are_read_as_they_were_written(tmp_path):
    rows = score_rows(0.8, cases=["a", "b"])
    rows[0][8] = ""
    path = make_run(tmp_path, choices=CHOICES, quality=0.8, rows=rows, unseen={"other": 0.5})
    runs, unfinished = read_runs([path])
    frame = read_scores(runs)
    assert not unfinished
    assert np.isnan(frame["value"][0])
    assert frame["value"][1:8].tolist() == [float(row[8]) for row in rows[1:]]
    assert frame["class"].astype(str).tolist()[:8] == [row[6] for row in rows]
    assert set(frame["split"]) == {"test", "unseen"}
    assert set(frame["trained_on"]) == {"wbc"}


def test_runs_that_are_not_finished_are_listed(tmp_path):
    make_sweep(tmp_path, QUALITIES)
    make_run(
        tmp_path,
        choices={"model": "x", "loss": "y"},
        quality=0.5,
        record={"status": "failed", "error": "out of memory"},
    )
    make_run(tmp_path, choices={"model": "z", "loss": "y"}, quality=0.5, record={"status": "running"})
    half = make_run(tmp_path, choices={"model": "w", "loss": "y"}, quality=0.5)
    (half / "run.json").write_text('{"id": "12')
    (tmp_path / "started" / "checkpoints").mkdir(parents=True)
    (tmp_path / "started" / "config.yaml").write_text("seed: 0")
    loaded = load(tmp_path)
    assert {one.reason for one in loaded.unfinished} == {
        "failed: out of memory",
        "running",
        "half-written: no complete run.json",
    }
    assert len(loaded.unfinished) == 4
    assert all(note.startswith("not compared: ") for note in loaded.notes)
    assert len(loaded.methods) == 4


def test_methods_and_scores_are_in_the_same_order(tmp_path):
    for k, model in enumerate(("b", "c", "a")):
        path = make_run(tmp_path, choices={"model": model}, quality=0.8, parameters=10 ** (k + 1))
        record = json.loads((path / "run.json").read_text())
        record["name"] = "zyx"[k]
        (path / "run.json").write_text(json.dumps(record))
    loaded = load(tmp_path)
    assert loaded.sets[0].methods == ("a", "b", "c")
    assert [(method.name, method.cost("parameters")) for method in loaded.methods] == [
        ("a", 1000),
        ("b", 10),
        ("c", 100),
    ]


def test_nothing_is_finished(tmp_path):
    make_run(tmp_path, choices=CHOICES, quality=0.5, record={"status": "interrupted"})
    with pytest.raises(UserError, match=r"none of the 1 runs is finished; not compared: .* \(interrupted\)"):
        load(tmp_path)


def test_one_method_only(tmp_path):
    make_sweep(tmp_path, {("unet", "dice"): 0.8})
    with pytest.raises(
        UserError, match=r"only one method \('unet / dice / adam', 2 runs\): a comparison needs at least two"
    ):
        load(tmp_path)


def test_two_runs_of_the_same_id(tmp_path):
    make_sweep(tmp_path, QUALITIES, seeds=(0,))
    copy = make_run(tmp_path / "copy", choices={"model": "fcn", "loss": "dice"}, quality=0.5)
    record = json.loads((copy / "run.json").read_text())
    other = find_runs(str(tmp_path / "copy"))[0]
    first = sorted(tmp_path.glob("*/run.json"))[0]
    record["id"] = json.loads(first.read_text())["id"]
    (other / "run.json").write_text(json.dumps(record))
    with pytest.raises(UserError, match=rf"the same run twice \(id {record['id']}\), and its scores differ"):
        load(tmp_path)


def test_sweeps_that_share_a_run(tmp_path):
    make_sweep(tmp_path / "a", QUALITIES, seeds=(0,))
    apart = load(tmp_path / "a")
    shared = sorted((tmp_path / "a").glob("*/run.json"))[0].parent
    shutil.copytree(shared, tmp_path / "b" / "copy")
    loaded = load(tmp_path)
    assert [method.name for method in loaded.methods] == [method.name for method in apart.methods]
    assert [len(method.runs) for method in loaded.methods] == [len(method.runs) for method in apart.methods]
    assert f"taken once: {tmp_path / 'b' / 'copy'} is the same run as {shared}, with the same scores" in loaded.notes
    (tmp_path / "b" / "copy" / "unseen").mkdir()
    shutil.copy(shared / "cases.csv", tmp_path / "b" / "copy" / "unseen" / "other.csv")
    assert any(run.path.name == "copy" for method in load(tmp_path).methods for run in method.runs)


def broken(tmp_path, change):
    paths = make_sweep(tmp_path, QUALITIES, seeds=(0,))
    rows = score_rows(0.8)
    columns = list(COLUMNS)
    change(rows, columns)
    write_table(paths[0] / "cases.csv", rows, columns)
    with pytest.raises(UserError) as error:
        load(tmp_path)
    message = str(error.value)
    assert "\n" not in message
    assert str(paths[0] / "cases.csv") in message
    return message


def test_broken_tables(tmp_path):
    assert "column 'n_pred' is missing" in broken(tmp_path / "a", lambda rows, columns: columns.__setitem__(10, "n"))
    assert "line 3: value is 'good', not a number" in broken(tmp_path / "b", lambda r, c: r[1].__setitem__(8, "good"))
    assert "line 4: value is infinite" in broken(tmp_path / "c", lambda r, c: r[2].__setitem__(8, "inf"))
    assert "line 50: dice of class 'nucleus' in case 'wbc_00' is there twice" in broken(
        tmp_path / "d", lambda r, c: r.append(list(r[0]))
    )
    assert "line 2: 10 values instead of 11" in broken(tmp_path / "e", lambda r, c: r[0].pop())
    assert "has no scores" in broken(tmp_path / "f", lambda r, c: r.clear())


def test_missing_files_of_a_finished_run(tmp_path):
    paths = make_sweep(tmp_path, QUALITIES, seeds=(0,))
    (paths[1] / "cases.csv").rename(paths[1] / "gone")
    with pytest.raises(UserError, match=r"cases.csv: cannot be read \(No such file"):
        load(tmp_path)
    (paths[1] / "gone").rename(paths[1] / "cases.csv")
    (paths[2] / "config.yaml").write_text("a: [")
    with pytest.raises(UserError, match=r"config.yaml: is damaged"):
        load(tmp_path)
    record = json.loads((paths[0] / "run.json").read_text())
    del record["budget"]
    (paths[0] / "run.json").write_text(json.dumps(record))
    with pytest.raises(UserError, match="'budget' is missing"):
        load(tmp_path)


def test_not_a_number_where_the_class_is_there(tmp_path):
    def change(rows, columns):
        rows[0][8] = ""

    paths = make_sweep(tmp_path, QUALITIES, seeds=(0,))
    rows = score_rows(0.8)
    change(rows, None)
    write_table(paths[0] / "cases.csv", rows)
    with pytest.raises(
        UserError, match=r"1 scores are missing: 'unet / dice' has no dice of 'nucleus' in case 'wbc_00'"
    ):
        load(tmp_path)
    assert load(tmp_path, missing="worst").sets[0].values.min() == 0


def test_an_address_that_is_no_web_address_is_no_link(tmp_path):
    addresses = ("https://wandb.example/x", "javascript:alert(1)", None, 3)
    for number, address in enumerate(addresses):
        record = {"id": str(number), "wandb_url": address}
        make_run(tmp_path / str(number), choices={"model": "unet"}, quality=0.8, seed=number, record=record)
    runs, _ = read_runs(find_runs(str(tmp_path)))
    assert [run.address for run in runs] == ["https://wandb.example/x", None, None, None]
