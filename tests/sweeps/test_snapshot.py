"""The code that queued jobs run is that of their submission."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from segbench.errors import UserError
from segbench.runs.provenance import git_state
from segbench.sweeps.cluster import snapshot
from segbench.sweeps.cluster.snapshot import pin

ROOT = Path(__file__).parents[2]


def test_the_copy_is_whole_and_is_what_a_job_imports(tmp_path):
    place = pin(tmp_path)
    for part in ("segbench", "conf"):
        mine = {path.relative_to(ROOT): path for path in (ROOT / part).rglob("*") if path.is_file()}
        mine = {name: path for name, path in mine.items() if "__pycache__" not in name.parts}
        assert len(mine) > 50
        assert all((place / name).read_bytes() == path.read_bytes() for name, path in mine.items())
    assert json.loads((place / "git.json").read_text()) == git_state()
    script = "from segbench.config import paths; from segbench.runs import provenance;"
    script += "import hydra_plugins.segbench as plugin;"
    script += "print(paths.conf_folder(), plugin.__file__, provenance.git_state())"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True,
        env={"PYTHONPATH": str(place), "PYTHONSAFEPATH": "1"},
    )  # fmt: skip
    assert done.stdout == f"{place}/conf {place}/hydra_plugins/segbench.py {git_state()}\n"


def test_a_change_is_refused_kept_or_renewed(tmp_path, monkeypatch):
    file = tmp_path / "train.py"
    file.write_text("first = 1\n")
    monkeypatch.setattr(snapshot, "_files", lambda: iter([(Path("segbench/commands/train.py"), file)]))
    first = pin(tmp_path / "code")
    assert pin(tmp_path / "code") == first
    file.write_text("second = 2\n")
    with pytest.raises(UserError, match=r"\(segbench/commands/train.py\): say hydra.launcher.code=keep .*renew"):
        pin(tmp_path / "code")
    assert pin(tmp_path / "code", "keep") == first
    assert (first / "segbench/commands/train.py").read_text() == "first = 1\n"
    second = pin(tmp_path / "code", "renew")
    assert (second / "segbench/commands/train.py").read_text() == "second = 2\n"
    assert pin(tmp_path / "code") == second
    with pytest.raises(UserError, match=r"hydra.launcher.code=new: must be one of refuse, keep, renew"):
        pin(tmp_path / "code", "new")


def test_a_copy_that_was_broken_off_is_made_again(tmp_path, monkeypatch):
    place = pin(tmp_path)
    (place / "git.json").unlink()
    (place / "segbench/training/run.py").write_text("half")
    assert pin(tmp_path) == place
    assert (place / "segbench/training/run.py").read_bytes() == (ROOT / "segbench/training/run.py").read_bytes()


def test_a_file_that_others_may_not_read_stays_so(tmp_path, monkeypatch):
    (tmp_path / "conf" / "local").mkdir(parents=True)
    secret = tmp_path / "conf" / "local" / "cluster.yaml"
    secret.write_text("key: secret\n")
    secret.chmod(0o600)
    monkeypatch.setattr(snapshot, "conf_folder", lambda: tmp_path / "conf")
    copied = pin(tmp_path / "jobs") / "conf" / "local" / "cluster.yaml"
    assert copied.read_text() == "key: secret\n"
    assert copied.stat().st_mode & 0o777 == 0o600
