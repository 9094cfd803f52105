"""W&B online, with a server on loopback that can be lost, silent, or refuse the key."""

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest
import wandb

from segbench.errors import Stopped, UserError
from segbench.loggers import wandb_access
from segbench.loggers.wandb import Wandb
from segbench.training.module import SegmentationModule
from tests.fake_wandb import KEY, online
from tests.loggers.test_wandb import bare_run
from tests.made_runs import TINY, execute

ONLINE = (
    *(one for one in TINY if one != "logger=csv"),
    "logger=wandb", "logger.wandb.mode=online", "trainer.log_every=1", "logger.wandb.start_timeout=20",
    "logger.wandb.close_timeout=3",
)  # fmt: skip


@pytest.fixture
def server(tmp_path):
    with online(tmp_path / "home") as fake:
        yield fake


def table(path: Path) -> dict[int, dict[str, float]]:
    """metrics.csv by step."""
    frame = pd.read_csv(path / "metrics.csv").set_index("step")
    return {int(step): row.dropna().to_dict() for step, row in frame.iterrows()}


def received(run) -> dict[int, dict[str, float]]:
    """What a server has of a run by step, pictures aside; each step must be there once."""
    steps = [row["_step"] for row in run.history]
    assert steps == sorted(set(steps))
    rows = {row["_step"]: {k: v for k, v in row.items() if not k.startswith(("_", "pictures/"))} for row in run.history}
    return {step: values for step, values in rows.items() if values}


@contextmanager
def stopped_at(step: int) -> Iterator[None]:
    """Stops a run in the training step after this one, without a checkpoint."""
    train = SegmentationModule.training_step

    def training_step(self, *arguments):
        if self.trainer.global_step == step:
            raise Stopped(15)
        return train(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SegmentationModule, "training_step", training_step)
        yield


def test_a_run_arrives_complete(tmp_path, server):
    directory = execute(tmp_path / "sweep" / "run", *ONLINE, tiny=False)
    run = server.only()
    assert received(run) == table(directory.path)
    assert run.state == "finished"
    assert run.created["groupName"] == "sweep"
    assert json.loads(run.created["config"])["model"] == {"value": "unet_small"}
    assert set(run.history[-1]) >= {"pictures/best", "pictures/median", "pictures/worst"}
    assert run.summary["test/dice"] == pytest.approx(pd.read_csv(directory.cases).query("metric == 'dice'")
                                                     .groupby("class")["value"].mean().mean())  # fmt: skip
    artifact = server.artifacts[f"cases-{directory.record['wandb_id']}"]
    assert artifact.committed
    assert artifact.files["cases.csv"] == directory.cases.read_bytes()
    assert json.loads(artifact.files["run.json"])["status"] == "finished"
    assert directory.record["wandb_url"].startswith(server.address)


def test_a_continued_run_has_one_continuous_history(tmp_path, server):
    """Step 3 is trained twice: after it the run was stopped, and the last checkpoint is that of step 2."""
    with stopped_at(3), pytest.raises(Stopped):
        execute(tmp_path, *ONLINE, tiny=False)
    assert server.only().state == "failed"
    assert max(received(server.only())) == 3
    directory = execute(tmp_path, *ONLINE, tiny=False)
    run = server.only()
    assert received(run) == table(directory.path)
    assert run.posted == len(run.history) == 5
    assert run.state == "finished"


@contextmanager
def lost_at(step: int, server) -> Iterator[None]:
    """Breaks the network in a training step, once the server has the first steps."""
    train, settings = SegmentationModule.training_step, wandb_access.quiet_settings

    def training_step(self, *arguments):
        if self.trainer.global_step == step:
            until = time.monotonic() + 60
            while not server.only().history:
                assert time.monotonic() < until
                time.sleep(0.05)
            server.health = "gone"
        return train(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SegmentationModule, "training_step", training_step)
        patch.setattr(
            wandb_access, "quiet_settings", lambda **more: settings(x_file_stream_transmit_interval=0.1, **more)
        )
        yield


@pytest.mark.slow
def test_a_network_that_is_lost_does_not_stop_the_run(tmp_path, server, caplog):
    caplog.set_level(logging.WARNING)
    with lost_at(3, server):
        directory = execute(tmp_path, *ONLINE, tiny=False)
    assert server.health == "gone"
    assert 0 < len(server.only().history) < 4
    assert directory.finished
    assert (directory.path / "cases.csv").exists()
    (line,) = [record.getMessage() for record in caplog.records if record.name.startswith("segbench.loggers")]
    assert "did not take the rest of this run within 3 s" in line
    assert f"segbench publish runs={directory.path}" in line


def test_a_server_that_does_not_begin_the_run_leaves_it_offline(tmp_path, server, caplog):
    """It takes the key, and is gone when the run is begun."""
    caplog.set_level(logging.WARNING)
    wandb_access.check(mode="online", start_timeout=20)
    server.health = "gone"
    logger = Wandb(bare_run(tmp_path / "run", 0), {}, mode="online", start_timeout=2, close_timeout=2)
    logger.log_metrics({"train/loss": 1.0}, step=0)
    logger.close(failed=False)
    (line,) = [record.getMessage() for record in caplog.records if record.name.startswith("segbench.loggers")]
    assert "does not begin this run, which is recorded offline" in line
    assert len(list(tmp_path.glob("run/wandb/offline-run-*/*.wandb"))) == 1


def test_closing_takes_no_longer_than_it_is_given(tmp_path, server):
    logger = Wandb(bare_run(tmp_path / "run", 0), {}, mode="online", start_timeout=20, close_timeout=2)
    logger.log_metrics({"train/loss": 1.0}, step=0)
    server.health = "gone"
    start = time.monotonic()
    logger.close(failed=False)
    assert 1 < time.monotonic() - start < 8
    start = time.monotonic()
    wandb.teardown()
    assert time.monotonic() - start < 8


@pytest.mark.parametrize("health", ["gone", "silent", 500])
def test_where_it_cannot_be_reached_runs_are_offline(tmp_path, server, health, caplog):
    wandb.setup()  # its process takes time to start, and its modules to be imported
    assert wandb.Api
    server.health = health
    caplog.set_level(logging.WARNING)
    seconds = []
    for number in range(2):
        start = time.monotonic()
        logger = Wandb(bare_run(tmp_path / f"{number}", number), {}, mode="online", start_timeout=2)
        logger.log_metrics({"train/loss": 1.0}, step=0)
        seconds.append(time.monotonic() - start)
        logger.close(failed=False)
    assert seconds[0] < 10
    assert seconds[1] < 2  # the second does not wait
    assert len(list(tmp_path.glob("*/wandb/offline-run-*/*.wandb"))) == 2
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2
    assert all("cannot be reached within 2 s; this run is recorded offline" in line for line in lines)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_told(tmp_path, server, status):
    server.key, server.refusal = "another", status
    for _ in range(2):
        with pytest.raises(UserError, match=rf"the key is refused \(W&B answers with HTTP {status}\)"):
            wandb_access.check(mode="online", project="any")


def test_without_a_key_the_remedy_is_named_before_anything_is_written(tmp_path):
    with online(tmp_path / "home", key=None), pytest.raises(UserError, match=r"wandb login.*WANDB_API_KEY"):
        execute(tmp_path / "run", *ONLINE, tiny=False)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("key", ["short", " " + KEY])
def test_a_key_of_the_wrong_form_is_told(tmp_path, key):
    with online(tmp_path / "home", key=key), pytest.raises(UserError, match="the key is refused"):
        wandb_access.check(mode="online")


def test_offline_nobody_is_asked(tmp_path, server):
    wandb_access.check(mode="offline")
    assert server.asked == 0


def test_a_mode_that_does_not_exist(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "onlien")
    with pytest.raises(UserError, match="WANDB_MODE=onlien: must be online, offline or disabled"):
        wandb_access.check(mode="offline")


def test_a_sweep_asks_once_and_writes_nothing_where_the_key_is_refused(tmp_path, server):
    server.key = "another"
    command = [sys.executable, "-m", "segbench", *TINY[:-1], "logger=wandb", "seed=0,1,2", "-m"]
    done = subprocess.run(
        [*command, f"hydra.sweep.dir={tmp_path / 'sweep'}"], capture_output=True, text=True,
        env={**os.environ, "WANDB_MODE": "online", "WANDB_API_KEY": KEY}, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.count("the key is refused") == 1
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "sweep").rglob("run.json"))
    assert server.asked == 1
