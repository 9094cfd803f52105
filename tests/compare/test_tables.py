"""Tables that nnU-Net, MONAI and panoptica write, as methods beside runs."""

import json

import numpy as np
import pandas as pd
import pytest
from monai.handlers.utils import write_metrics_reports

from segbench.compare.reading.methods import Rules, load_methods, read_methods
from segbench.compare.reading.places import Place, of_kinds, parse_place
from segbench.compare.reading.tables import read_table
from segbench.errors import UserError
from segbench.runs.discovery import find_runs
from tests.compare.fake_runs import CLASSES, QUALITIES, case_names, make_sweep

CASES = case_names("wbc", 12)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    make_sweep(folder, QUALITIES)
    return read_methods(find_runs(str(folder)), Rules())


def values():
    return np.random.default_rng(0).uniform(0.5, 1, (len(CASES), len(CLASSES)))


def load(trained, *texts, **rules):
    tables = [read_table(place, ()) for place in of_kinds(texts, "table")]
    return load_methods(trained, tables, Rules(**rules))


def of_method(loaded, name, metric="dice"):
    """(cases, classes) scores of a method, in the order of CASES and CLASSES."""
    (scores,) = loaded.sets
    rows = [[(row.metric, row.label) for row in scores.rows].index((metric, label)) for label in CLASSES]
    order = [scores.cases.index(case) for case in CASES if case in scores.cases]
    return scores.values[rows, scores.methods.index(name)][:, order].T


@pytest.mark.parametrize(("text", "place"), [
    ("sweeps/A", ("runs", "sweeps/A", None)), ("wandb:a/b?group=c", ("wandb", "a/b?group=c", None)),
    ("masks:out", ("masks", "out", None)), ("swin=masks:out/x=1", ("masks", "out/x=1", "swin")),
    ("nnunet:r", ("nnunet", "r", None)), ("a b=instances:o", ("instances", "o", "a b")),
    ("scores:f.csv", ("table", "f.csv", None)), ("a=x/summary.json", ("table", "x/summary.json", "a")),
    ("sweeps/lr=0.1", ("runs", "sweeps/lr=0.1", None)),
])  # fmt: skip
def test_places(text, place):
    assert parse_place(text) == Place(text, *place)


def summary_of(scores, keys=("1", "2")):
    cases = [
        {
            "prediction_file": f"/data/{case}.nii.gz",
            "reference_file": f"/truth/{case}.nii.gz",
            "metrics": {
                key: {"Dice": value, "IoU": value / (2 - value), "n_pred": 90, "n_ref": 100, "TP": 1}
                for key, value in zip(keys, line, strict=True)
            },
        }
        for case, line in zip(CASES, scores, strict=True)
    ]
    return json.dumps({"metric_per_case": cases})


def test_a_summary_of_nnunet(trained, tmp_path):
    folder = tmp_path / "nnUNetTrainer__nnUNetPlans__2d" / "fold_0" / "validation"
    folder.mkdir(parents=True)
    (folder / "summary.json").write_text(summary_of(values()))
    loaded = load(trained, str(folder / "summary.json"))
    name = "nnUNetTrainer__nnUNetPlans__2d"
    assert of_method(loaded, name) == pytest.approx(values())
    assert loaded.methods[-1].name == name
    assert np.isnan(loaded.methods[-1].cost("parameters"))
    assert "left out, since not all methods have them: hd95, iou" in loaded.notes
    with pytest.raises(UserError, match="metric=hd95: no such scores of 'nnUNet"):
        load_methods(trained, [read_table(parse_place(str(folder / "summary.json")), ())], Rules(), ("hd95",))


def test_labels_of_nnunet_have_the_names_of_its_dataset_json(tmp_path):
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "whole": [1, 2], "core": [2]}}))
    (tmp_path / "summary.json").write_text(summary_of(values(), ("(1, 2)", "2")))
    table = read_table(parse_place(f"theirs={tmp_path / 'summary.json'}"), ())
    assert set(table.frame["class"]) == {"whole", "core"}
    assert table.methods == ["theirs"]


@pytest.mark.parametrize("deli", [",", "\t"])
def test_a_report_that_monai_has_written(trained, tmp_path, deli):
    images = [f"/data/images/{case}.nii.gz" for case in CASES]
    details = {"val_mean_dice": values()}
    write_metrics_reports(str(tmp_path / "swin"), images, None, details, None, deli=deli)
    loaded = load(trained, str(tmp_path / "swin" / "val_mean_dice_raw.csv"))
    assert of_method(loaded, "swin") == pytest.approx(values(), abs=1e-4)
    write_metrics_reports(str(tmp_path / "b"), images, None, details, None, class_labels=list(CLASSES))
    loaded = load(trained, f"ours={tmp_path / 'b' / 'val_mean_dice_raw.csv'}")
    assert of_method(loaded, "ours") == pytest.approx(values(), abs=1e-4)


def test_two_reports_of_monai_are_one_method(trained, tmp_path):
    images = [f"{case}.png" for case in CASES]
    details = {"mean_dice": values(), "hd95": 10 * values()}
    write_metrics_reports(str(tmp_path / "swin"), images, None, details, None)
    loaded = load(trained, *(str(tmp_path / "swin" / f"{name}_raw.csv") for name in ("mean_dice", "hd95")))
    assert loaded.sets[0].metrics == ("dice", "hd95")
    assert of_method(loaded, "swin", "hd95") == pytest.approx(10 * values(), abs=1e-4)
    with pytest.raises(UserError, match=r"another method is called 'swin'; name this one: 'NAME="):
        load(trained, *2 * (str(tmp_path / "swin" / "mean_dice_raw.csv"),))


def panoptica_of(scores):
    """A table as panoptica lays it out: a group for each class, counts of instances before the metrics."""
    columns = {"subject_name": CASES}
    for label, of_class in zip(CLASSES, scores.T, strict=True):
        columns |= {f"{label}-num_ref_instances": 2, f"{label}-num_pred_instances": 3, f"{label}-tp": 1,
                    f"{label}-sq_std": "", f"{label}-global_bin_dsc": of_class, f"{label}-sq_assd": 1.5}  # fmt: skip
    return pd.DataFrame(columns).to_csv(sep="\t", index=False)


def test_a_table_of_panoptica(trained, tmp_path):
    (tmp_path / "cellpose.tsv").write_text(panoptica_of(values()))
    place = parse_place(str(tmp_path / "cellpose.tsv"))
    assert read_table(place, ()).better == {"dice": "larger", "sq_assd": "smaller"}
    assert of_method(load(trained, place.text), "cellpose") == pytest.approx(values())


def test_scores_beside_runs_and_cases_that_are_not_theirs(trained, tmp_path):
    lines = [f"theirs,{case},{label},{0.7}" for case in [*CASES, "other"] for label in CLASSES]
    (tmp_path / "s.csv").write_text("\n".join(["method,case,class,value", *lines]).replace("value", "value,metric", 1)
                                    .replace("0.7", "0.7,dice"))  # fmt: skip
    loaded = load(trained, f"scores:{tmp_path / 's.csv'}")
    assert (of_method(loaded, "theirs") == 0.7).all()
    assert any("1 cases that no run was tested on are left out: 'other'" in note for note in loaded.notes)


def test_the_guard_names_cases_that_another_tool_lacks(trained, tmp_path):
    (tmp_path / "few.tsv").write_text("\n".join(panoptica_of(values()).splitlines()[:-1]))
    with pytest.raises(UserError, match=r"'few' lacks 'wbc_11'; strict=false compares what they have in common"):
        load(trained, str(tmp_path / "few.tsv"))
    assert len(load(trained, str(tmp_path / "few.tsv"), strict=False).sets[0].cases) == 11


@pytest.mark.parametrize(("name", "text", "message"), [
    ("a.json", "{", "cannot be read as JSON"), ("a.json", "{}", "no summary of nnU-Net v2"),
    ("a.json", '{"metric_per_case": []}', "has no scores"),
    ("a.tsv", "x\ty\n1\t2\n", "no table of panoptica"), ("a.tsv", "", "cannot be read as a table with tabs"),
    ("a.tsv", "subject_name\ta-b\nx\tgood\n", "a-b is 'good', not a number"),
    ("a_raw.csv", "file,b\n1,2\n", "no report of MONAI"), ("a_raw.csv", "filename,class0\nx.png,1\nx.nii,1\n", "twice"),
    ("a.csv", "filename,class0\nx.png,good\n", "class0 is 'good', not a number"),
])  # fmt: skip
def test_clear_errors(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=message) as error:
        read_table(parse_place(str(tmp_path / name)), ())
    assert "\n" not in str(error.value)


def test_tables_that_are_not_there(tmp_path):
    for name in ("a.json", "a.tsv", "a_raw.csv", "a.csv"):
        with pytest.raises(UserError, match="there is no such file"):
            read_table(parse_place(str(tmp_path / name)), ())
