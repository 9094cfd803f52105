"""Every command of README.md and docs/ is one that segbench takes; those of the first hour are executed."""

import re
import runpy
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from PIL import Image

from segbench.commands.execution import COMMANDS, report
from segbench.commands.resolvers import register_resolvers
from tests.documentation import ROOT, Command, commands
from tests.made_runs import configure

TINY = ("trainer=debug", "data.patch_size=[32,32]", "data.batch_size=2", "data.workers=0", "model.channels=[4,8]",
        "logger=csv", "trainer.progress=false")  # fmt: skip
ALL = commands()


@pytest.fixture
def own_files(tmp_path) -> str:
    """A folder of configuration with the files that the pages tell their readers to write."""
    for page, file in (
        ("cluster.md", "hydra/launcher/my_cluster.yaml"),
        ("augmentation.md", "augmentation/mine.yaml"),
        ("targets.md", "task/brightness.yaml"),
    ):
        block = re.search(r"^```yaml\n(.*?)^```", (ROOT / "docs" / page).read_text(), re.S | re.M)
        assert block is not None
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).write_text(block[1])
    return f"hydra.searchpath=[file://{tmp_path}]"


def first_of_each(arguments: tuple[str, ...]) -> Iterator[str]:
    """The overrides of the first run of a sweep, flags and the value of `--config-dir` aside."""
    after = ("", *arguments)
    words = [word for word, before in zip(arguments, after, strict=False) if before != "--config-dir"]
    for override in OverridesParser.create().parse_overrides([word for word in words if not word.startswith("-")]):
        if override.is_sweep_override():
            value = next(iter(override.sweep_string_iterator())) if override.is_discrete_sweep() else "1e-3"
            yield f"{override.get_key_element()}={value}"
        else:
            assert override.input_line is not None
            yield override.input_line


def test_there_are_commands():
    assert len(ALL) > 30
    assert {command.name for command in ALL} >= {"train", "predict", "evaluate", "prepare", "compare", "status"}


@pytest.mark.parametrize("command", ALL, ids=str)
def test_a_printed_command_can_be_composed(command, own_files):
    assert command.name in COMMANDS
    register_resolvers()
    search = [own_files] if "my_c" in command.text else []
    configure(*first_of_each(command.arguments), *search, command=command.name)


def test_a_head_of_ones_own(tmp_path, monkeypatch, own_files):
    """The function and the task that docs/targets.md prints, from a run to its curves."""
    block = re.search(r"^```python\n(.*?)^```", (ROOT / "docs" / "targets.md").read_text(), re.S | re.M)
    (tmp_path / "my_heads.py").write_text(block[1])
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    small = ("data.dataset.cases=20", "data.dataset.size=[96,96]", "metrics=overlap", f"hydra.run.dir={tmp_path}/run")
    assert report("train", ["task=brightness", "data=synthetic_cells", own_files, *small, *TINY]) == 0
    curves = pd.read_csv(tmp_path / "run" / "metrics.csv")
    assert np.isfinite(curves["train/loss_brightness"].dropna()).all()
    assert len(curves["train/loss_brightness"].dropna())


def draw_images(folder: Path, values: tuple[int, ...], count: int = 12) -> None:
    """Images of a few patients, and masks with a disk in a ring."""
    rng = np.random.default_rng(0)
    rows, columns = np.indices((48, 48))
    for number in range(count):
        y, x = rng.uniform(16, 32, 2)
        distance = np.hypot(rows - y, columns - x)
        classes = (distance < 12).astype(int) + (distance < 6) * (len(values) > 2)
        image = np.clip(60 + 60 * classes + rng.normal(0, 10, classes.shape), 0, 255).astype(np.uint8)
        for name, array in (("images", image), ("masks", np.array(values, np.uint8)[classes])):
            path = folder / name / f"p{number // 2}_{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(path)


def execute(command: Command, *more: str, replace: dict[str, str] | None = None) -> None:
    words = list(command.arguments)
    for old, new in (replace or {}).items():
        words = [re.sub(rf"(?<=[=\[,]){re.escape(old)}$", new, word) for word in words]
    assert report(command.name, [*words, *more]) == 0, command.text


def printed(*parts: str) -> Command:
    """The first command with these parts, of the README and then of the other pages."""
    return next(one for one in ALL if all(part in one.text for part in parts))


@pytest.fixture
def first_hour(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["segbench"])
    return tmp_path


def test_the_commands_for_ones_own_images(first_hour, capsys):
    draw_images(first_hour / "my_images", (0, 255))
    execute(printed("segbench prepare data=folder data.root=my_images"))
    train = next(one for one in ALL if one.text.startswith("python -m segbench data=folder data.root=my_images #"))
    execute(train, *TINY)
    (record,) = first_hour.glob("runs/*/*/run.json")
    here = {"RUN": str(record.parent), "new_images": "my_images/images", "reference": "my_images/masks"}
    execute(printed("segbench predict run=RUN"), replace=here)
    execute(printed("evaluate prediction=masks reference=truth #"), replace={"truth": "masks"})
    execute(printed("evaluate prediction=masks reference=truth 'values"), replace={"truth": "my_images/masks"})
    assert len(list((first_hour / "masks").glob("*.png"))) == 12
    assert "class" in capsys.readouterr().out


def test_the_command_for_several_classes_and_patients(first_hour):
    draw_images(first_hour / "my_images", (0, 128, 255))
    execute(printed("group_pattern"), *TINY)
    (split,) = first_hour.glob("runs/*/*/split.json")
    assert '"p0_0"' in split.read_text()


def test_the_sweep_and_its_comparison(first_hour):
    sweep = printed("model=unet_small,smp_unet loss=dice,tversky seed=0,1 -m")
    tiny = [word for word in TINY if not word.startswith("model.")]
    one_network = ("model=unet_small", "data.dataset.cases=10", "data.dataset.size=[96,96]", "metrics=overlap")
    distance = "+metrics.classes.hd95={_target_: segbench.metrics.surface.hd95, _partial_: true}"
    execute(sweep, *tiny, "model.channels=[4,8]", *one_network, distance, "hydra.sweep.dir=my_sweep", "seed=0")
    (cases, *_) = first_hour.glob("my_sweep/*/cases.csv")
    of_cases = pd.read_csv(cases)["case"].unique()
    meta = {"case": of_cases, "site": ["north", "south"] * len(of_cases), "area": range(len(of_cases))}
    pd.DataFrame({key: list(values)[: len(of_cases)] for key, values in meta.items()}).to_csv("meta.csv", index=False)
    for command in (one for one in ALL if one.name == "compare" and "runs=my_sweep" in one.text):
        execute(command, "output=found")
        assert (first_hour / "found" / "report.html").exists()
    execute(printed("segbench status runs=DIR"), replace={"DIR": "my_sweep"})


def test_the_page_of_data_sources_is_what_the_data_sets_say():
    page = runpy.run_path(str(ROOT / "docs" / "data_sources.py"))["page"]
    assert (ROOT / "docs" / "data-sources.md").read_text() == page(), "run make sources"
