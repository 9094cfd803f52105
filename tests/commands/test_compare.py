"""The command as its user meets it: outputs, clear errors, nothing half-written, and quick."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from hydra import compose, initialize_config_dir

from segbench.commands.compare import compare, compare_sweep
from segbench.compare.request import Request
from segbench.config.paths import conf_folder
from segbench.errors import UserError
from segbench.runs.sweep_record import add_asked
from tests.compare.fake_runs import QUALITIES, make_run, make_sweep, write_table

TABLE = Path(__file__).parents[1] / "compare" / "reference" / "architecture_table.csv"
FILES = {
    "report.html",
    "comparison.json",
    *(f"table.{form}" for form in ("md", "tex", "csv")),
    *(f"{name}.csv" for name in ("scores", "ranks", "pairwise", "drops", "efficiency", "costs", "consensus")),
    "methods.md", "methods.tex", "references.bib", "checklist.md", "reproduce.sh", "manifest.sha256",
    "ro-crate-metadata.json",
}  # fmt: skip
FIGURES = {
    "stability",
    "critical_difference",
    "significance",
    "rules",
    "scores_wbc_dice",
    "seeds",
    "cost",
    "curves_wbc",
}


def run(*overrides):
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        config = compose("compare", overrides=[*overrides])
    compare(config)


def command(*arguments, cwd):
    return subprocess.run(
        [sys.executable, "-m", "segbench", "compare", *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep")
    make_sweep(folder, QUALITIES, pictures=True)
    return folder


def names(folder):
    return {path.name for path in folder.iterdir()}


def test_the_command_writes_shows_and_leaves_nothing_else(sweep, tmp_path):
    done = command(f"runs={sweep}", "baseline=segnet / dice", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "unet / dice" in done.stdout
    assert "report    comparison/report.html" in done.stdout
    assert "is significantly better than that of each of the other 3 methods" in done.stdout
    assert names(tmp_path) - {"segbench.log"} == {"comparison"}
    output = tmp_path / "comparison"
    assert names(output) == {*FILES, "figures", "relative.md", "relative.tex", "relative.csv"}
    assert names(output / "figures") == {f"{name}.{form}" for name in FIGURES for form in ("png", "svg")}
    summary = json.loads((output / "comparison.json").read_text())
    assert summary["verdict"]["best"] == "unet / dice"
    assert summary["rank_sums"]["total"]["methods"]["unet / dice"]["rank_sum"] == 2
    assert len(summary["methods"][0]["runs"]) == 2
    scores = pd.read_csv(output / "scores.csv")
    assert len(scores) == 4 * (2 + 1) * 2


def test_help_is_quick(tmp_path):
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        done = command("--help", cwd=tmp_path)
        seconds.append(time.perf_counter() - start)
    assert done.returncode == 0
    assert "ranking" in done.stdout
    assert min(seconds) < 2.0  # 0.6 s on an idle core


def test_ten_runs_are_quick(tmp_path):
    make_sweep(tmp_path / "runs", {**QUALITIES, ("fpn", "dice"): 0.8}, pictures=True)
    start = time.perf_counter()
    assert command("runs=runs", cwd=tmp_path).returncode == 0
    assert time.perf_counter() - start < 15  # 4 s on an idle core


def test_scores_from_elsewhere(tmp_path, capsys):
    output = tmp_path / "out"
    run(f"scores={TABLE}", f"output={output}", "ranking=tiers", "cuts=[0,0.0245,0.05,0.1,0.15]", "metric=f1",
        "better=larger")  # fmt: skip
    table = pd.read_csv(output / "table.csv")
    total = table[table["row"] == "total rank sum"].iloc[0]
    assert [total[m] for m in "ABCDEFGHIJ"] == [42, 40, 36, 37, 29, 26, 22, 26, 36, 25]
    assert "tests compare 8 classes" in capsys.readouterr().out
    assert "stability.png" not in names(output / "figures")


def test_several_sweeps_are_named_in_what_comes_of_them(sweep, tmp_path, monkeypatch):
    make_sweep(tmp_path / "A", QUALITIES, seeds=(0,))
    make_sweep(tmp_path / "B", {("fpn", "dice"): 0.8}, seeds=(0,))
    add_asked(tmp_path / "A", None, [])
    monkeypatch.chdir(tmp_path)
    run("runs=[A,B]", "bootstraps=100")
    assert "<h1>Comparison of 5 methods in A and B</h1>" in (tmp_path / "comparison-A+B" / "report.html").read_text()
    with pytest.raises(UserError, match=r"output=A/comparison: is for the runs of .*A alone, and not for .*B/"):
        run("runs=[A,B]", "output=A/comparison")
    assert not (tmp_path / "A" / "comparison").exists()
    run("runs=A", "output=A/comparison", "bootstraps=100")
    assert Request(runs=("x/A", "y/A")).places == ("x/A", "y/A")


def test_an_older_comparison_is_replaced_and_nothing_else(sweep, tmp_path):
    output = tmp_path / "out"
    run(f"runs={sweep}", f"output={output}", "bootstraps=100")
    (output / "stale.txt").write_text("")
    run(f"runs={sweep}", f"output={output}", "bootstraps=100", "ranking=per_case", "metric=[dice,hd95]")
    assert "stale.txt" not in names(output)
    other = tmp_path / "mine"
    other.mkdir()
    (other / "thesis.tex").write_text("")
    with pytest.raises(UserError, match="holds something that is no comparison"):
        run(f"runs={sweep}", f"output={other}")
    assert names(other) == {"thesis.tex"}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([], "either runs=DIR or scores=FILE"),
        (["runs=nowhere"], "there is no such folder"),
        (["runs={sweep}", "metric=iou"], "metric=iou: data set 'wbc' has no such scores, only dice, hd95"),
        (["runs={sweep}", "ranking=best"], "choose one of mean, median"),
        (["runs={sweep}", "missing=ignore"], "must be worst, drop or a number"),
        (["runs={sweep}", "baseline=unt / dice"], "did you mean 'unet / dice'"),
        (["runs={sweep}", "publish=mail"], "only wandb and tensorboard are known"),
        (["runs={sweep}", "methods.rename={{unt: a}}"], "no method is called 'unt'"),
        (["runs={sweep}", "cuts=[0.1,many]"], "cuts=many: must be a number"),
        (["runs={sweep}", "absent=zero"], "absent=zero: must be ignore or perfect"),
        (["runs={sweep}", "strict=maybe"], "strict=maybe: must be true or false"),
        (["runs={sweep}", "better={{dice: up}}"], "better={dice: up}: must be larger or smaller"),
        (["runs={sweep}", "better=up"], "better=up: must be larger, smaller, or {name: larger or smaller}"),
        (
            [f"scores={TABLE}", "metric=f1"],
            "metric 'f1': not known whether larger or smaller is better; say better={f1",
        ),
        (["scores=none.csv"], "there is no such file"),
    ],
)
def test_bad_requests_are_one_line_and_write_nothing(sweep, tmp_path, overrides, message, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as error:
        run(*(one.format(sweep=sweep) for one in overrides))
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert not names(tmp_path)


def test_a_broken_run_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paths = make_sweep(tmp_path / "runs", QUALITIES)
    (paths[0] / "metrics.csv").write_bytes(b"step\x00,\xff\n")
    write_table(paths[0] / "metrics.csv", [], ())
    with pytest.raises(UserError, match=r"metrics\.csv: is damaged"):
        run("runs=runs")
    assert names(tmp_path) == {"runs"}


def test_exit_code_and_one_line_on_stderr(tmp_path):
    done = command("runs=nowhere", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.strip().splitlines() == ["segbench: runs=nowhere: there is no such folder"]


def test_renaming_reaches_every_output(sweep, tmp_path):
    output = tmp_path / "out"
    run(f"runs={sweep}", f"output={output}", "bootstraps=100", "methods.rename={unet / dice: ours}", "baseline=ours")
    assert "ours" in (output / "table.md").read_text()
    assert "unet / dice" not in (output / "pairwise.csv").read_text()
    assert (output / "relative.csv").exists()


def test_the_end_of_a_sweep(tmp_path, capsys):
    make_sweep(tmp_path, QUALITIES)
    compare_sweep(tmp_path)
    assert (tmp_path / "comparison" / "report.html").exists()
    assert "report" in capsys.readouterr().out
    compare_sweep(tmp_path)  # its own outputs are no runs


def test_the_end_of_a_sweep_with_nothing_to_compare(tmp_path, capsys):
    compare_sweep(tmp_path)
    make_run(tmp_path, choices={"model": "unet"}, quality=0.8)
    compare_sweep(tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("no comparison: runs=")
    assert lines[1].startswith("no comparison: only one method ('unet', 1 runs)")
    assert not (tmp_path / "comparison").exists()


def test_the_configuration_and_its_typed_form_agree():
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        config = compose("compare", overrides=["runs=x"])
    assert Request.parse(config) == Request(runs=("x",))
