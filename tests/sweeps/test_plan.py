"""Which runs a sweep asks for, where they go, and the command line that executes one alone."""

import subprocess
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_automatic_config_search_path
from hydra.types import HydraContext, RunMode

from segbench.commands.resolvers import register_resolvers
from segbench.config.identity import run_id
from segbench.config.paths import conf_folder
from segbench.errors import UserError
from segbench.runs.sweep_record import add_asked, read_asked
from segbench.sweeps.callback import CompareAtEnd, swept_keys
from segbench.sweeps.directory import SweepDirectory
from segbench.sweeps.job import Job
from segbench.sweeps.plan import plan


def composed(*overrides: str):
    """Hydra's context, and the configuration that a sweep starts from."""
    register_resolvers()
    loader = ConfigLoaderImpl(create_automatic_config_search_path(None, None, str(conf_folder())))
    config = loader.load_configuration("train", list(overrides), RunMode.MULTIRUN)
    config.hydra.job.config_name = "train"
    return HydraContext(loader, Callbacks()), config


def test_a_job_is_what_the_command_of_a_user_would_be(tmp_path):
    place = tmp_path / "it's my=sweep"
    context, config = composed(f"hydra.sweep.dir='{place!s}'".replace("it's", "it\\'s"), "hydra/launcher=slurm")
    overrides = ["model=unet_small", "optimizer.lr=0.01", "seed=2"]
    (job,) = plan(context, config, [overrides, overrides])
    assert job.path == place / job.name
    assert job.name == f"unet_small-lr0.01-seed2-{job.id}"
    assert (job.processes, job.nodes) == (1, 1)
    arguments = job.arguments(config)
    assert not [one for one in arguments if "launcher" in one or "sweep.dir" in one]
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        alone = compose("train", arguments, return_hydra_config=True)
    assert run_id(alone) == job.id
    assert alone.hydra.run.dir == str(job.path)
    assert alone.hydra.mode == RunMode.RUN


def test_names_begin_with_what_is_swept_and_a_run_keeps_its_directory(tmp_path):
    fixed = ["trainer.max_steps=5", "model=unet_small"]
    context, config = composed(*fixed, "optimizer.lr=0.1,0.01", f"hydra.sweep.dir={tmp_path}")
    CompareAtEnd().on_multirun_start(config)
    (job,) = plan(context, config, [[*fixed, "optimizer.lr=0.1"]])
    assert job.name == f"lr0.1-max_steps5-unet_small-{job.id}"
    job.path.mkdir()
    context, config = composed(*fixed[:1], "model=unet_small,unet", "optimizer.lr=0.1", f"hydra.sweep.dir={tmp_path}")
    CompareAtEnd().on_multirun_start(config)
    wanted = [[fixed[0], f"model={model}", "optimizer.lr=0.1"] for model in ("unet_small", "unet")]
    again, new = plan(context, config, wanted)
    assert again.path == job.path
    assert new.name == f"unet-max_steps5-lr0.1-{new.id}"


def test_the_keys_of_a_study_are_swept_too(tmp_path):
    _, config = composed("experiment=losses", "budget=smoke", "optimizer.lr=range(1,3)", "trainer.max_steps=5")
    assert swept_keys(config) == ["optimizer.lr", "loss", "seed"]


def test_two_folders_of_data_are_two_runs_of_one_configuration(tmp_path):
    context, config = composed("data=folder", f"hydra.sweep.dir={tmp_path}")
    first, second = plan(context, config, [["data=folder", f"data.root={name}/cells"] for name in ("siteA", "siteB")])
    assert first.id == second.id
    assert first.path != second.path
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        alone = compose("train", ["data=folder", "data.root=siteB/cells"], return_hydra_config=True)
    assert Path(alone.hydra.run.dir).name == second.name


def test_runs_on_different_data_do_not_share_a_directory(tmp_path):
    context, config = composed("data=folder", f"hydra.sweep.dir={tmp_path}", "hydra.sweep.subdir=same")
    with pytest.raises(UserError, match="are on different data and would share the directory"):
        plan(context, config, [["data=folder", f"data.root={name}/cells"] for name in ("siteA", "siteB")])


def test_a_study_becomes_single_runs(tmp_path):
    context, config = composed("experiment=losses", "budget=smoke", f"hydra.sweep.dir={tmp_path}")
    (job,) = plan(context, config, [["experiment=losses", "budget=smoke", "loss=dice", "seed=0"]])
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        alone = compose("train", job.arguments(config), return_hydra_config=True)
    assert run_id(alone) == job.id
    assert alone.hydra.mode == RunMode.RUN


def test_stages_are_found_from_another_folder(tmp_path, monkeypatch):
    """As in a job of SLURM whose set-up lines change the folder; a run's id and name are those of a single run."""
    folder = tmp_path / "it's here"
    (folder / "first" / "a").mkdir(parents=True)
    (folder / "first" / "a" / "run.json").write_text('{"id": "1", "seed": 0, "fold": 0, "status": "finished"}')
    monkeypatch.chdir(folder)
    relative = ["stages={coarse:{runs:[first],takes:probabilities}}", "data.input_arrays=[coarse]", "seed=1"]
    context, config = composed(*relative, f"hydra.sweep.dir={tmp_path}/sweep")
    (job,) = plan(context, config, [relative])
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        alone = compose("train", relative)
        assert job.id == run_id(alone)
        assert job.name == f"input_arrayscoarse-seed1-{job.id}"
        monkeypatch.chdir(tmp_path)
        elsewhere = compose("train", job.arguments(config))
    assert elsewhere.stages == {"coarse": {"runs": [f"{folder}/first"], "takes": "probabilities"}}
    assert run_id(elsewhere) == job.id
    monkeypatch.chdir(folder)
    assert plan(context, config, [[*job.overrides]]) == [job]


def test_processes_and_nodes_of_a_run(tmp_path):
    context, config = composed(f"hydra.sweep.dir={tmp_path}")
    jobs = plan(context, config, [["trainer=ddp", "trainer.num_nodes=3"], ["trainer.devices=auto"]])
    assert [(job.processes, job.nodes) for job in jobs] == [(2, 3), (None, 1)]


def test_what_was_asked_for_is_kept(tmp_path):
    add_asked(tmp_path, "losses", [Job(("loss=dice",), tmp_path / "a", "1", "a")])
    add_asked(tmp_path, "losses", [Job(("loss=focal",), tmp_path / "b", "2", "b")])
    assert read_asked(tmp_path) == {
        "experiment": "losses",
        "runs": {"a": {"id": "1", "overrides": ["loss=dice"]}, "b": {"id": "2", "overrides": ["loss=focal"]}},
    }


def test_a_folder_is_for_one_command_and_one_study(tmp_path):
    with SweepDirectory(tmp_path, "losses"), pytest.raises(UserError, match=r"is in use by process \d+ on .*wait"):
        SweepDirectory(tmp_path, "losses").__enter__()
    add_asked(tmp_path, "losses", [])
    with pytest.raises(UserError, match="holds the runs of experiment=losses, this is experiment=optimizers"):
        SweepDirectory(tmp_path, "optimizers").__enter__()
    with pytest.raises(UserError, match="this is a sweep that is no study"):
        SweepDirectory(tmp_path, None).__enter__()
    with SweepDirectory(tmp_path, "losses"):  # refused commands left it free
        pass


def test_the_lock_ends_with_its_process(tmp_path):
    script = (
        "import os, sys; from pathlib import Path; from segbench.sweeps.directory import SweepDirectory;"
        f"SweepDirectory(Path({str(tmp_path)!r}), None).__enter__(); print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(UserError, match=f"process {holder.pid} on "):
            SweepDirectory(tmp_path, None).__enter__()
    finally:
        holder.kill()
        holder.wait()
    with SweepDirectory(tmp_path, None):
        pass


def test_a_folder_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"hydra.sweep.dir: cannot write to .*file/sweep"):
        SweepDirectory(tmp_path / "file" / "sweep", None).__enter__()
    assert read_asked(Path("nowhere")) == {}
