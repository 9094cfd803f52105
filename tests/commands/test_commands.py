"""The commands as a user types them, each in a process of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from segbench import __version__
from segbench.runs.directory import RunDirectory, read_cases
from tests.data_sets import folder
from tests.made_runs import TINY

FIRST = (
    "data=folder", "data.root=images", *(one for one in TINY if not one.startswith("data.dataset")),
    "metrics=standard", "predictions=true", "hydra.run.dir=first",
)  # fmt: skip
COST = {"parameters", "flops", "seconds_per_case", "train_seconds", "peak_memory_bytes", "receptive_field"}

Done = subprocess.CompletedProcess


@pytest.fixture(scope="module")
def here(tmp_path_factory) -> Path:
    """A working directory that is not the checkout."""
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="module")
def segbench(here):
    """Runs a command in that directory."""

    def call(*arguments: str, cwd: Path = here, **variables: str) -> Done:
        return subprocess.run(
            [sys.executable, "-m", "segbench", *arguments], cwd=cwd, env=_environment(variables), text=True,
            capture_output=True, timeout=280,
        )  # fmt: skip

    return call


def _environment(variables: dict[str, str]) -> dict[str, str]:
    """Of a user: nothing of the checkout but the installed package."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "120", **variables}


def only_line(done: Done) -> str:
    """The one line that a refused command prints; it exits with a code that is not 0."""
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.strip().splitlines()
    return line


@pytest.fixture(scope="module")
def images(here) -> Path:
    folder(here / "images")
    return here / "images"


@pytest.fixture(scope="module")
def run(segbench, images, here) -> Path:
    """A finished run on a folder of images."""
    done = segbench(*FIRST)
    assert done.returncode == 0, done.stderr
    assert "mean over the test cases" in done.stdout
    assert "foreground" in done.stdout
    return here / "first"


def test_several_values_without_a_sweep(segbench):
    line = only_line(segbench("model=unet,unet_small", "no.such=key"))
    assert "model=unet,unet_small: several values need -m" in line
    assert "model=[unet,unet_small]" in line


def test_help_names_commands_and_choices(segbench):
    for command in ("train", "predict", "evaluate", "prepare", "compare"):
        done = segbench(command, "--help")
        assert done.returncode == 0
        assert "segbench" in done.stdout
    assert "unet_small" in segbench("--help").stdout


def test_help_imports_no_torch(here):
    code = "import sys; sys.argv = ['segbench', '--help']\nfrom segbench.__main__ import main\n"
    code += "try: main()\nexcept SystemExit: pass\n"
    code += "assert not {'torch', 'lightning', 'pandas', 'scipy'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=here, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_run_directory_holds_everything(run):
    directory = RunDirectory(run)
    assert directory.finished
    record = directory.record
    assert record["dataset"] == record["dataset"] | {"name": "images", "classes": ["background", "foreground"]}
    assert record["budget"]["max_steps"] == 4
    assert record["precision"] == {"asked": "32-true", "used": "32-true"}
    assert set(record["cost"]) >= COST
    cases = read_cases(directory.cases)
    split = json.loads((run / "split.json").read_text())
    assert set(cases["case"]) == set(split["test"])
    assert {"dice", "hd95", "nsd"} <= set(cases["metric"])
    for name in ("config.yaml", "metrics.csv", "curves.png", "run.log", "previews/best.png", "previews/worst.png"):
        assert (run / name).stat().st_size > 0
    assert sorted(path.stem for path in (run / "predictions").iterdir()) == sorted(split["test"])


def test_a_finished_run_is_shown_and_not_trained_again(segbench, run):
    before = (run / "checkpoints" / "last.ckpt").stat().st_mtime_ns
    done = segbench(*FIRST)
    assert done.returncode == 0
    assert "mean over the test cases" in done.stdout
    assert (run / "checkpoints" / "last.ckpt").stat().st_mtime_ns == before


def test_another_run_in_the_same_directory_is_refused(segbench, run):
    line = only_line(segbench("data=folder", "data.root=images", *TINY[2:], "seed=1", "hydra.run.dir=first"))
    assert "holds another run" in line


@pytest.mark.parametrize("place", [(), ("hydra.run.dir=a/b/c",)])
def test_a_refused_run_leaves_no_folder(segbench, tmp_path, place):
    """Not even one above its own."""
    line = only_line(
        segbench("logger=none", "split.file=nowhere.json", *place, cwd=tmp_path, SEGBENCH_CACHE="../cache")
    )
    assert "cannot read nowhere.json" in line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("launcher", "key"),
    [("basic", "retries=-1"), ("local", "threads=many"), ("slurm", "poll=0")],
)
def test_impossible_values_of_a_launcher_are_refused_before_anything_is_written(segbench, tmp_path, launcher, key):
    done = segbench(f"hydra/launcher={launcher}", f"hydra.launcher.{key}", "seed=0,1", "-m", cwd=tmp_path)
    assert f"hydra.launcher.{key}: must be " in only_line(done)
    assert not list(tmp_path.iterdir())


def test_predict_keeps_the_format_of_each_image(segbench, run, here):
    rng = np.random.default_rng(0)
    (here / "new" / "deep").mkdir(parents=True)
    Image.fromarray(rng.integers(0, 255, (33, 50), dtype=np.uint8)).save(here / "new" / "a.png")
    Image.fromarray(rng.integers(0, 255, (20, 30), dtype=np.uint8)).save(here / "new" / "deep" / "b.bmp")
    stack = rng.integers(0, 60000, (5, 40, 41), dtype=np.uint16)
    tifffile.imwrite(here / "new" / "c.tif", stack, photometric="minisblack")
    for name in ("notes.txt", "deep/old.xcf", "Thumbs.db"):
        (here / "new" / name).touch()
    done = segbench("predict", "run=first", "input=new", "output=masks")
    assert done.returncode == 0, done.stderr
    assert "not predicted, since in no known format (2): old.xcf, notes.txt" in done.stdout
    assert np.asarray(Image.open(here / "masks" / "a.png")).shape == (33, 50)
    assert np.asarray(Image.open(here / "masks" / "deep" / "b.bmp")).shape == (20, 30)
    assert tifffile.imread(here / "masks" / "c.tif").shape == (5, 40, 41)
    assert set(np.unique(tifffile.imread(here / "masks" / "c.tif"))) <= {0, 1}


def test_predictions_of_the_run_are_those_of_predict(segbench, run, here):
    name = json.loads((run / "split.json").read_text())["test"][0]
    done = segbench("predict", "run=first", f"input=images/images/{name}.png", "output=again")
    assert done.returncode == 0, done.stderr
    first, again = (np.asarray(Image.open(here / place / f"{name}.png")) for place in ("first/predictions", "again"))
    assert np.array_equal(first, again)


def test_evaluate_repeats_the_scores(segbench, run):
    before = (run / "cases.csv").read_text()
    done = segbench("evaluate", "run=first")
    assert done.returncode == 0, done.stderr
    assert (run / "cases.csv").read_text() == before


def test_evaluate_on_unseen_data_keeps_its_rows_apart(segbench, run, here):
    folder(here / "clinic", cases=3, size=(36, 52))
    before = (run / "cases.csv").read_text()
    done = segbench("evaluate", "run=first", "data=folder", "data.root=clinic")
    assert done.returncode == 0, done.stderr
    assert (run / "cases.csv").read_text() == before
    rows = read_cases(run / "unseen" / "clinic.csv")
    assert set(rows["split"]) == {"unseen"}
    assert set(rows["dataset"]) == {"clinic"}
    assert rows["case"].nunique() == 3
    assert "trained on images" in only_line(segbench("evaluate", "run=first", "data=folder", "data.root=images"))


def test_evaluate_scores_masks_of_any_tool(segbench, run, images, here):
    done = segbench("evaluate", "prediction=images/masks", "reference=images/masks", "output=scores.csv")
    assert done.returncode == 0, done.stderr
    rows = read_cases(here / "scores.csv")
    assert (rows[rows["metric"] == "dice"]["value"] == 1).all()
    assert rows["case"].nunique() == 8


def test_a_sweep_trains_every_combination_and_goes_on_after_a_failure(segbench, here):
    tiny = [one for one in TINY if not one.startswith("model")]
    done = segbench(*tiny, "model.channels=[4,8],[2,4]", "augmentation=none,stain", "hydra.sweep.dir=sweep", "-m")
    assert done.returncode != 0
    finished = [path.parent for path in (here / "sweep").glob("*/run.json") if RunDirectory(path.parent).finished]
    assert len(finished) == 2
    assert "2 of 4 runs failed" in done.stderr
    assert "stain" in done.stderr


def test_a_plain_sweep_finds_its_place_ends_with_the_comparison_and_is_not_repeated(segbench, here):
    arguments = [*TINY, "seed=0,1", "loss=dice_ce,cross_entropy", "-m"]
    done = segbench(*arguments)
    assert done.returncode == 0, done.stderr
    (report,) = here.glob("sweeps/*/comparison/report.html")
    assert "dice_ce" in done.stdout
    assert "cross_entropy" in report.read_text()
    runs = sorted(report.parents[1].glob("*/run.json"))
    assert len(runs) == 4
    before = [path.stat().st_mtime_ns for path in runs]
    assert segbench(*arguments).returncode == 0
    assert [path.stat().st_mtime_ns for path in runs] == before


def test_a_users_own_yaml_and_network(segbench, here):
    (here / "own" / "loss").mkdir(parents=True)
    (here / "own" / "loss" / "mine.yaml").write_text("_target_: torch.nn.CrossEntropyLoss\nignore_index: 255\n")
    (here / "theirs.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self, n_channels, n_classes):\n"
        "        super().__init__()\n"
        "        self.body = nn.Conv2d(n_channels, n_classes, 3, padding=1)\n"
        "    def forward(self, x):\n"
        "        return self.body(x)\n"
    )
    tiny = [one for one in TINY if not one.startswith("model")]
    done = segbench(
        *tiny, "--config-dir", "own", "loss=mine", "model=external", "model.net._target_=theirs.Net",
        "+model.net.n_channels=${model.in_channels}", "+model.net.n_classes=${measured.classes}",
        "hydra.run.dir=own_run",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    done = segbench(
        *tiny, f"hydra.searchpath=[file://{here / 'own'}]", "loss=mine", "model.channels=[2,4]",
        "hydra.run.dir=own_2",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_ends_in_order_and_continues(segbench, here, number):
    """The signal goes to the workers too, as from a terminal, `timeout` or SLURM."""
    (here / "slow.py").write_text(
        "import time\nfrom lightning.pytorch.callbacks import Callback\n"
        "class Slow(Callback):\n"
        "    def on_train_batch_end(self, *_):\n"
        "        time.sleep(0.1)\n"
    )
    arguments = [
        *TINY, "trainer.max_steps=60", "trainer.validate_every=60", "+callbacks.slow._target_=slow.Slow",
        f"hydra.run.dir=stopped{number}", "data.workers=2",
    ]  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "segbench", *arguments], cwd=here, env=_environment({}), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    path = here / f"stopped{number}"
    for _ in range(600):
        time.sleep(0.1)
        if (path / "run.log").exists() and "parameters" in (path / "run.log").read_text():
            break
    time.sleep(1.5)
    os.killpg(process.pid, number)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 128 + number
    assert "the same command continues" in errors.strip().splitlines()[-1]
    assert RunDirectory(path).status == "interrupted"
    assert (path / "checkpoints" / "last.ckpt").exists()
    done = segbench(*arguments)
    assert done.returncode == 0, done.stderr
    assert "continuing from" in done.stdout
    assert RunDirectory(path).finished


@pytest.mark.slow
def test_two_processes_score_every_case_once_and_as_one_does(segbench, here):
    same = [*TINY, "trainer=ddp", "trainer.accelerator=cpu", "trainer.precision=32-true", "trainer.max_steps=4",
            "trainer.progress=false", "model.norm=instance", "loss=cross_entropy", "augmentation=flips"]  # fmt: skip
    tables = []
    for devices in (1, 2):
        done = segbench(*same, f"trainer.devices={devices}", f"hydra.run.dir=ddp{devices}")
        assert done.returncode == 0, done.stderr
        tables.append(read_cases(here / f"ddp{devices}" / "cases.csv"))
    one, two = tables
    assert one[["case", "class", "metric", "n_ref"]].equals(two[["case", "class", "metric", "n_ref"]])
    assert not two.duplicated(["case", "class", "metric"]).any()
    # Sums over processes round differently, and a pixel on the edge of two classes may flip.
    assert np.allclose(one["value"], two["value"], atol=0.01, equal_nan=True)


def test_the_version_is_ours():
    done = subprocess.run([sys.executable, "-m", "segbench", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"segbench {__version__}\n"


def test_a_reader_that_has_seen_enough_is_no_error():
    script = f"{sys.executable} -m segbench --help | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.splitlines()[0].startswith("segbench: which segmentation method")
    assert done.stdout.splitlines()[1] in ("0", "141")
