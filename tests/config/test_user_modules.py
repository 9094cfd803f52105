"""Modules of the user's own are copied for queued jobs, with what they import."""

import importlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from segbench.config import user_modules
from segbench.config.user_modules import module_files, named_modules
from segbench.errors import UserError
from segbench.sweeps.cluster.snapshot import pin
from tests.made_runs import configure

FILES = {
    "my_networks.py": "import numpy, torch.nn\nfrom my_blocks.wide import block\n\ndef net(): return block()\n",
    "my_blocks/__init__.py": "",
    "my_blocks/wide.py": "from . import narrow\n\ndef block():\n    import my_numbers\n    return my_numbers.ONE\n",
    "my_blocks/narrow.py": "",
    "my_blocks/weights.bin": "many bytes",
    "my_blocks/__pycache__/x.pyc": "old",
    "my_numbers.py": "ONE = 1\n",
    "not_needed.py": "",
}


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A folder of the user's, from which Python imports."""
    folder = tmp_path / "mine"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    monkeypatch.syspath_prepend(folder)
    user_modules._origin.cache_clear()
    yield folder
    user_modules._origin.cache_clear()


def test_a_configuration_names_modules_of_the_users(mine):
    own = "model=external", "model.net._target_=my_networks.net", "+callbacks.x._target_=collections.Counter"
    assert named_modules(configure(*own)) == {"my_networks"}
    assert named_modules(configure("model=smp_unet")) == set()
    assert named_modules(configure("model=external", "model.net._target_=not_there.Net")) == set()


def test_what_they_import_comes_with_them(mine):
    found = {str(name): path for name, path in module_files({"my_networks"})}
    wanted = {name for name in FILES if "__pycache__" not in name} - {"not_needed.py"}
    assert found == {name: mine / name for name in wanted}


def imported(place: Path) -> str:
    """What a job computes that imports from there first."""
    done = subprocess.run(
        [sys.executable, "-c", "import my_networks; print(my_networks.net())"], capture_output=True, text=True,
        env={"PYTHONPATH": str(place), "PYTHONSAFEPATH": "1"},
    )  # fmt: skip
    return done.stdout.strip() or done.stderr


def test_queued_jobs_import_the_copy(mine, tmp_path):
    place = pin(tmp_path / "code", modules={"my_networks"})
    (mine / "my_numbers.py").write_text("ONE = 2\n")
    assert imported(place) == "1"
    assert (place / "my_blocks/weights.bin").read_text() == "many bytes"
    with pytest.raises(UserError, match=r"\(my_numbers.py\): say hydra.launcher.code=keep"):
        pin(tmp_path / "code", modules={"my_networks"})
    assert pin(tmp_path / "code", "keep", {"my_networks"}) == place
    assert imported(pin(tmp_path / "code", "renew", {"my_networks"})) == "2"


def test_jobs_that_need_other_modules_are_no_difference(mine, tmp_path):
    without = pin(tmp_path / "code")
    place = pin(tmp_path / "code", modules={"my_networks"})
    assert place != without
    assert imported(place) == "1"
    assert pin(tmp_path / "code") == place
    (mine / "my_numbers.py").write_text("ONE = 2\n")
    kept = pin(tmp_path / "code", "keep", {"my_networks", "not_needed"})
    assert imported(kept) == "1"
    assert (kept / "not_needed.py").exists()
    assert (kept / "git.json").read_text() == (place / "git.json").read_text()


def test_a_package_that_became_a_file_is_a_difference(mine, tmp_path):
    """Beside the file, a former package of the same name would be what Python imports."""
    pin(tmp_path / "code", modules={"my_networks"})
    shutil.rmtree(mine / "my_blocks")
    (mine / "my_blocks.py").write_text("")
    (mine / "my_networks.py").write_text("import my_blocks\n\ndef net(): return 'of the file'\n")
    user_modules._origin.cache_clear()
    importlib.invalidate_caches()
    with pytest.raises(UserError, match=r"\(my_blocks/__init__.py, my_blocks/narrow.py"):
        pin(tmp_path / "code", modules={"my_networks"})
    assert imported(pin(tmp_path / "code", "renew", {"my_networks"})) == "of the file"


def test_what_lies_beside_the_code_is_linked_whichever_jobs_come_first(mine, tmp_path):
    for modules in ({"my_blocks"}, {"not_needed"}, {"my_networks"}):
        place = pin(tmp_path / "code", modules=modules)
        assert (place / "my_blocks/weights.bin").readlink() == mine / "my_blocks/weights.bin"
    (mine / "my_blocks/more.bin").write_text("more")
    assert (pin(tmp_path / "code", modules={"my_blocks"}) / "my_blocks/more.bin").read_text() == "more"


def test_linked_folders_and_folders_without_init(mine, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/far.py").write_text("")
    (mine / "my_blocks/linked").symlink_to(tmp_path / "elsewhere")
    (mine / "my_blocks/around").symlink_to(mine / "my_blocks")
    assert Path("my_blocks/linked/far.py") in dict(module_files({"my_blocks"}))
    (mine / "my_folder/sweep/slurm/code").mkdir(parents=True)
    for name in ("net.py", "image.png", "sweep/slurm/code/pinned.json", "sweep/slurm/code/former.py"):
        (mine / "my_folder" / name).write_text("")
    assert set(module_files({"my_folder"})) == {(Path("my_folder/net.py"), mine / "my_folder/net.py")}
