"""`prepare`: what it says about a data set that is there, half there, or not there."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from segbench.commands.prepare import prepare, problems
from segbench.config.instantiation import build
from segbench.config.paths import conf_folder
from segbench.errors import UserError
from segbench.training import assembly
from tests.made_runs import configure


def write_images(root: Path, parts: tuple[str, ...] = ("",)) -> None:
    """The same image and mask under two names in each part."""
    for part in parts:
        for kind in ("images", "masks"):
            (root / part / kind).mkdir(parents=True)
            for name in ("ann_1", "ann_2"):
                Image.fromarray(np.eye(16, dtype=np.uint8)).save(root / part / kind / f"{name}.png")


def test_summary(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = ("data.dataset.cases=6", "data.dataset.size=[96,128]", f"data.cache={tmp_path}")
    config = configure(*settings, command="prepare")
    prepare(config)
    printed = " ".join(capsys.readouterr().out.split())
    for text in ("6 in 6 groups", "96 x 128 (6)", "1, uint8", "spindle", "ready", "drawn by code", "1 x 1"):
        assert text in printed
    _, store = assembly.build_dataset(config)
    background = sum(store.meta(case_id).pixels[0] for case_id in store.ids) / (6 * 96 * 128)
    assert f"{background:.2%}" in printed


def test_missing_data_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(
        UserError,
        match=r"there is no .*nothing.*data\.root must name a folder .*SEGBENCH_DATA.* from https://github",
    ):
        prepare(configure("data=wbc", f"data.root={tmp_path / 'nothing'}", command="prepare"))
    printed = capsys.readouterr().out
    for text in ("https://github.com/zxaoyou/segmentation_WBC", "GPL-3.0", "Micron", "Dataset 1/NNN.bmp"):
        assert text in printed


def test_problems(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_images(tmp_path / "data", ("train", "test"))
    wanted = configure(
        "data=folder",
        f"data.root={tmp_path / 'data'}",
        f"data.cache={tmp_path / 'cache'}",
        "data.dataset.classes=[background,cell,ghost]",
        "data.dataset.group_pattern='^[a-z]+'",
        command="prepare",
    )
    prepare(wanted)
    printed = " ".join(capsys.readouterr().out.split())
    assert "warning: no case has the class ghost" in printed
    assert "warning: the group ann has cases in several parts: test, train" in printed
    assert "ready" not in printed


def test_duplicates(tmp_path: Path) -> None:
    write_images(tmp_path / "data")
    config = configure("data=folder", f"data.root={tmp_path / 'data'}", command="prepare")
    dataset, store = assembly.build_dataset(config)
    cases = [store.meta(case_id) for case_id in store.ids]
    assert problems(dataset, cases) == ["the cases ann_1, ann_2 have the same image, but not the same group"]


@pytest.mark.parametrize("path", sorted((conf_folder() / "data").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_data_set_can_be_named(path: Path) -> None:
    data = configure(f"data={path.stem}", command="prepare").data
    assert data.batch_size > 0
    dataset = build(data.dataset, "data.dataset")
    assert len(data.patch_size) == dataset.spatial_dims
    assert dataset.source.address


def test_spacing_of_the_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for kind in ("images", "masks"):
        (tmp_path / "data" / kind).mkdir(parents=True)
        for number in (1, 2, 4):
            tifffile.imwrite(
                tmp_path / "data" / kind / f"{number}.tif", np.eye(16, dtype=np.uint8),
                resolution=(1e4 / number, 2e4), resolutionunit="CENTIMETER",
            )  # fmt: skip
    (tmp_path / "data" / "images" / "notes.doc").touch()
    settings = ("data=folder", f"data.root={tmp_path / 'data'}", f"data.cache={tmp_path / 'cache'}")
    for _ in range(2):  # decoded, and from the cache
        prepare(configure(*settings, command="prepare"))
        printed = " ".join(capsys.readouterr().out.split())
        assert "0.0005 x 0.001 to 0.004 (3 different ones)" in printed
        assert "distances, such as hd95, are in mm" in printed
        assert "no known format (1): notes.doc" in printed
    prepare(configure(*settings, "data.dataset.spacing=pixels", command="prepare"))
    printed = " ".join(capsys.readouterr().out.split())
    assert "spacing 1 x 1" in printed
    assert "in mm" not in printed
