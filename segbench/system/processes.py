"""The processes of one run: which one this is, how many there are, and what started them.

Several devices are several processes, which SLURM (srun), torchrun or Lightning starts. Nothing here imports torch
unless the devices of this machine have to be counted.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, ListConfig

from segbench.errors import UserError

if TYPE_CHECKING:
    from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment

_SHELLS = ("bash", "interactive")
"""Names that SLURM gives to the job of a shell, as in `srun --pty bash` and `salloc`."""

_SPECIAL_STEPS = 0xFFFFFFF0
"""Steps from this number on are no work of srun: batch scripts and the shells of `salloc`."""

_FIRST_PORT, _PORTS = 15000, 17000
"""Ports at which processes under SLURM meet: below the ports that Linux hands out by itself, from 32768 on."""


@dataclass(frozen=True)
class Launch:
    """Processes that were started for this run, before it began.

    Attributes:
        by: "SLURM" or "torchrun".
        on_each_node: how many.
        nodes: on how many nodes.
    """

    by: str
    on_each_node: int
    nodes: int


def is_main_process() -> bool:
    """Return whether this is the only process of the run or, of several, the first: the one that writes and prints."""
    if "RANK" in os.environ:
        return os.environ["RANK"] == "0"
    if "LOCAL_RANK" in os.environ:  # Lightning's own launcher, which counts on each node
        return os.environ["LOCAL_RANK"] == "0" and os.environ.get("NODE_RANK", "0") == "0"
    return os.environ.get("SLURM_PROCID", "0") == "0"


def keep_quiet() -> None:
    """Leave `run.log` and the terminal to the first process; of the others warnings and errors are shown."""
    if is_main_process():
        return
    root = logging.getLogger()
    root.setLevel(logging.WARNING)
    for handler in list(root.handlers):
        if isinstance(handler, logging.FileHandler):
            root.removeHandler(handler)
            handler.close()


def find_launch(environment: Mapping[str, str] = os.environ) -> Launch | None:
    """Find what started the processes of this run; None where it was started as a single one.

    A shell inside a job of SLURM has variables of SLURM too, but started nothing; neither did a batch script, which
    calls the command without srun.

    Raises:
        UserError: where SLURM has started other numbers of tasks on different nodes.
    """
    if "TORCHELASTIC_RUN_ID" in environment:  # first, since srun may start torchrun
        here = int(environment["LOCAL_WORLD_SIZE"])
        return Launch("torchrun", here, int(environment["WORLD_SIZE"]) // here)
    tasks = int(environment.get("SLURM_STEP_NUM_TASKS", 0))
    is_shell = environment.get("SLURM_JOB_NAME") in _SHELLS
    if int(environment.get("SLURM_STEP_ID", 0)) >= _SPECIAL_STEPS or tasks < 1 or (tasks == 1 and is_shell):
        return None
    counts = environment.get("SLURM_STEP_TASKS_PER_NODE", str(tasks))  # such as 4, 4(x2) or 4(x2),3
    nodes = int(environment.get("SLURM_STEP_NUM_NODES", 1))
    match = re.fullmatch(r"(\d+)(?:\(x\d+\))?", counts)
    if match is None:
        raise UserError(
            f"SLURM has started {counts} tasks on the {nodes} nodes: every node needs as many; set"
            " hydra.launcher.tasks_per_node (srun --ntasks-per-node), not the number of all tasks"
        )
    return Launch("SLURM", int(match[1]), nodes)


def devices_on_each_node(trainer: Mapping[str, Any] | DictConfig) -> int:
    """The number that `trainer.devices` stands for.

    Args:
        trainer: the group of that name. `devices` may be what Lightning takes: a number, a list of indices, or auto
            (or -1): as many as were started, or as this machine has.

    Raises:
        UserError: where it is none of these.
    """
    devices = trainer["devices"]
    if isinstance(devices, ListConfig | list):
        return len(devices)
    text = str(devices).strip()
    if "," in text:
        return len([index for index in text.split(",") if index.strip()])
    if text in ("auto", "-1"):
        launch = find_launch()
        return launch.on_each_node if launch is not None else _devices_here(str(trainer["accelerator"]))
    if not text.isdecimal() or int(text) < 1:
        raise UserError(f"trainer.devices={devices}: must be a number from 1 on, a list of indices, or auto")
    return int(text)


def processes(config: DictConfig) -> int:
    """The number of processes that the configuration asks for, on all nodes together."""
    return devices_on_each_node(config.trainer) * int(config.trainer.num_nodes)


def total_batch(config: DictConfig) -> int:
    """The patches of one batch over all devices: what the result depends on, however it is shared out.

    Raises:
        UserError: where the configuration does not say.
    """
    per = config.data.get("batch_size_per", "run")  # runs of earlier versions have none
    if per == "run":
        return int(config.data.batch_size)
    if per != "device":
        raise UserError(f"data.batch_size_per={per}: must be run or device")
    if str(config.trainer.devices) in ("auto", "-1"):
        raise UserError(
            f"trainer.devices={config.trainer.devices}: data.batch_size_per=device needs a number, else the batch, and"
            " with it the result, would depend on the machine"
        )
    return int(config.data.batch_size) * processes(config)


def batch_on_each_device(config: DictConfig) -> int:
    """The patches of one batch on each device.

    Raises:
        UserError: where the batch cannot be shared out evenly.
    """
    total, devices = total_batch(config), processes(config)
    if total % devices:
        raise UserError(
            f"data.batch_size={total}: is not divisible by the {devices} devices (trainer.devices x trainer.num_nodes)"
        )
    return total // devices


def check_processes(config: DictConfig) -> None:
    """Check that there are as many processes as the configuration asks for.

    Raises:
        UserError: naming what to set.
    """
    launch, nodes = find_launch(), int(config.trainer.num_nodes)
    devices = devices_on_each_node(config.trainer)
    if launch is None:
        if nodes > 1 and "NODE_RANK" not in os.environ:
            raise UserError(
                f"trainer.num_nodes={nodes}: nothing has started the run on the other nodes; use"
                " hydra/launcher=slurm_ddp, srun or torchrun, or set trainer.num_nodes=1"
            )
        return
    if launch.on_each_node != devices:
        remedy = _remedy(launch, devices, "tasks_per_node", "ntasks-per-node", "nproc_per_node")
        raise UserError(
            f"trainer.devices={config.trainer.devices}: {launch.by} has started {launch.on_each_node} on each node, one"
            f" process is needed for each device; set {remedy} or trainer.devices={launch.on_each_node}"
        )
    if launch.nodes != nodes:
        remedy = _remedy(launch, nodes, "nodes", "nodes", "nnodes")
        raise UserError(
            f"trainer.num_nodes={nodes}: {launch.by} has started processes on {launch.nodes}; set"
            f" {remedy} or trainer.num_nodes={launch.nodes}"
        )


def _remedy(launch: Launch, count: int, of_launcher: str, of_srun: str, of_torchrun: str) -> str:
    if launch.by == "SLURM":
        return f"hydra.launcher.{of_launcher}={count} (srun --{of_srun}={count})"
    return f"torchrun --{of_torchrun}={count}"


def refuse_ddp_in_sweep(config: DictConfig) -> None:
    """Refuse a run on several devices as one of a sweep in one process.

    Raises:
        UserError: then, with the remedy.
    """
    refuse_several(devices_on_each_node(config.trainer), int(config.trainer.num_nodes))


def refuse_several(devices: int, nodes: int) -> None:
    """Refuse several processes for a run where each of them would begin the whole sweep again.

    Args:
        devices: on each node.
        nodes: how many.

    Raises:
        UserError: where that is more than one, with the remedy.
    """
    if devices * nodes > 1:
        raise UserError(
            f"trainer.devices={devices} trainer.num_nodes={nodes}: a sweep on this machine cannot start"
            f" {devices * nodes} processes for a run, each would start the whole sweep again; use"
            " hydra/launcher=slurm_ddp, or torchrun for one run after the other"
        )


def cluster_environments() -> list[ClusterEnvironment]:
    """The plugin that shows Lightning the place of this process; none where Lightning finds that out rightly.

    Lightning takes every shell and batch script in a job of SLURM for a task of srun, and asks for variables that an
    srun without `--ntasks-per-node` does not set. What a step has is written over what its job had.
    """
    from lightning.fabric.plugins.environments.lightning import LightningEnvironment
    from lightning.fabric.plugins.environments.slurm import SLURMEnvironment

    launch = find_launch()
    if launch is not None and launch.by == "torchrun":
        return []
    if launch is None or launch.on_each_node * launch.nodes == 1:
        return [LightningEnvironment()] if "SLURM_JOB_ID" in os.environ else []
    environment = os.environ
    environment["SLURM_NTASKS"] = str(launch.on_each_node * launch.nodes)
    environment["SLURM_NTASKS_PER_NODE"] = str(launch.on_each_node)
    environment["SLURM_NNODES"] = str(launch.nodes)
    if "SLURM_STEP_NODELIST" in environment:
        first = SLURMEnvironment.resolve_root_node_address(environment["SLURM_STEP_NODELIST"])
        environment.setdefault("MASTER_ADDR", first)
    # Lightning's is the same for all steps of a job.
    number = 64 * int(environment["SLURM_JOB_ID"]) + int(environment.get("SLURM_STEP_ID", 0))
    environment.setdefault("MASTER_PORT", str(_FIRST_PORT + number % _PORTS))
    return [SLURMEnvironment(auto_requeue=False)]  # a stopped run is queued again by segbench alone


def _devices_here(accelerator: str) -> int:
    import torch

    wanted = accelerator in ("auto", "gpu", "cuda")
    return max(1, torch.cuda.device_count()) if wanted else 1
