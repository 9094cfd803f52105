import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from segbench.config.identity import check_name, data_mark, run_id, run_name
from segbench.config.schema import check
from segbench.errors import UserError
from tests.made_runs import configure


@pytest.fixture(scope="module")
def base():
    return run_id(configure())


@pytest.mark.parametrize(
    "override",
    ["logger=csv", "data.workers=7", "trainer.devices=2", "trainer.accelerator=cpu", "name=x", "data.cache=/elsewhere",
     "trainer.progress=false", "trainer.strategy=ddp"],
)  # fmt: skip
def test_how_a_run_is_executed_does_not_change_its_id(base, override):
    assert run_id(configure(override)) == base


@pytest.mark.parametrize(
    "override",
    ["seed=1", "fold=1", "model=unet", "model.norm=instance", "trainer.max_steps=7", "trainer.precision=32-true",
     "data.batch_size=3", "loss=dice", "split.seed=1", "inference.overlap=0.25", "+model.new=1"],
)  # fmt: skip
def test_what_changes_the_result_changes_the_id(base, override):
    assert run_id(configure(override)) != base


def test_two_folders_of_images_are_two_runs():
    first, second = (run_id(configure("data=folder", f"data.root=/data/{name}")) for name in ("one", "two"))
    assert first != second


def test_the_same_folder_elsewhere_is_the_same_run():
    first, second = (run_id(configure("data=wbc", f"data.root=/{place}/wbc")) for place in ("here", "there"))
    assert first == second


def test_runs_on_several_folders_have_several_directories():
    paths = ["one/cells", "two/cells", "/a/one/cells"]
    marks = {path: data_mark([path]) for path in paths}
    assert len(set(marks.values())) == 3
    assert all(re.fullmatch("-[0-9a-f]{6}", mark) for mark in marks.values())
    assert data_mark(["./one/../one/cells/"]) == marks["one/cells"]
    assert data_mark([]) == ""


def test_the_data_folder_is_in_the_name():
    assert run_name(["data=folder", "data.root=/data/one/cells/"], "") == "folder-one_cells"
    assert run_name(["data.root=../siteA/cells,~/cells"], "") == "siteA_cells+cells"


def test_the_name_says_what_was_set():
    overrides = [
        "model=unet",
        "trainer.max_steps=50",
        "loss=tversky",
        "logger=csv",
        "data.root=/x",
        "hydra.run.dir=/y",
    ]
    assert run_name(overrides, "default") == "x-unet-max_steps50-tversky"
    assert run_name(["model=unet,unet_small", "seed=0,1"], "default") == "unet+unet_small-seed0+1"
    assert run_name(["logger=csv"], "default") == "default"


@given(st.lists(st.from_regex(r"[+~]{0,2}[a-z]{1,9}(\.[a-z]{1,9}){0,2}=.{0,60}", fullmatch=True), max_size=8))
def test_a_name_is_safe_in_a_path_and_in_an_override(overrides):
    name = run_name(overrides, "default")
    assert re.fullmatch(r"[A-Za-z0-9._+-]{1,80}", name)


def test_long_names_stay_distinct():
    many = [f"model.value{number}=something_long" for number in range(20)]
    first, second = run_name([*many, "seed=0"], ""), run_name([*many, "seed=1"], "")
    assert first != second
    assert max(len(first), len(second)) <= 80


def test_what_is_swept_comes_first_and_is_never_cut_off():
    fixed = [f"model.value{number}=something_long" for number in range(20)]
    swept = [
        "optimizer.weight_decay=0.0001",
        "scheduler=warmup_cosine_with_a_long_name",
        "loss=dice_focal_boundary_and_more",
    ]
    overrides = [*fixed, "data=wbc", *swept]
    name = run_name(overrides, "", [override.partition("=")[0] for override in swept])
    whole = "weight_decay0.0001-warmup_cosine_with_a_long_name-dice_focal_boundary_and_more-wbc"
    assert re.fullmatch(whole + "-[0-9a-f]{8}", name)
    assert run_name(["trainer.max_steps=5", "data=wbc", "seed=0,1"], "", ["seed"]) == "seed0+1-wbc-max_steps5"


@given(st.lists(st.from_regex(r"[a-z]{1,9}=.{0,60}", fullmatch=True), max_size=30))
def test_whatever_is_swept_leaves_room_for_an_id_in_the_name_of_a_file(overrides):
    name = run_name(overrides, "default", [override.partition("=")[0] for override in overrides])
    assert re.fullmatch(r"[A-Za-z0-9._+-]{1,169}", name)


@pytest.mark.parametrize("name", ["a" * 161, "\u674e" * 54])
def test_a_name_leaves_room_for_an_id_behind_it(name):
    with pytest.raises(UserError, match=r"^name=.{40}\.\.: has 16[12] bytes: a name must have at most 160$"):
        check_name(name, "name")
    assert check_name(name[:-1], "name") == name[:-1]


@pytest.mark.parametrize("name", ["../../evil", "/etc/x", "..", ".hidden", "a/b", "a\\b", "a\nb"])
def test_a_name_leads_into_no_other_folder(name):
    with pytest.raises(UserError, match="must have no slash"):
        check_name(name, "name")
    config = configure()
    config.name = name
    with pytest.raises(UserError, match=r"^name="):
        check(config)
    config.name = None
    OmegaConf.update(config, "data.dataset.name", name, force_add=True)
    with pytest.raises(UserError, match=r"^data\.dataset\.name="):
        check(config)
