"""Keys of the commands besides `train`, and of what executes a sweep."""

from typing import Annotated, Literal

from pydantic import Field

from segbench.config.keys import training
from segbench.config.keys.kinds import (
    Above,
    Anything,
    Count,
    Dimensions,
    Flag,
    Kind,
    Labels,
    Least,
    Name,
    Node,
    Nodes,
    Number,
    Positive,
    Seed,
    Sizes,
    Text,
    different,
    least_integer,
    list_of,
)

_Accelerator = Literal["auto", "cpu", "gpu", "cuda", "mps"]
_Places = Text | list_of(Text, 1)
_Direction = Literal["larger", "smaller"]
_LAUNCHER: dict[str, Kind] = {"retries": Count}

KEYS: dict[str, dict[str, Kind]] = {
    "predict": {
        "run": Text,
        "input": Text,
        "output": Text,
        "regions": Flag,
        "inference": Node | None,
        "accelerator": _Accelerator,
        "trust": different(Text),
        "stages": Nodes | None,
    },
    "evaluate": {
        "run": Text | None,
        "data": Node | None,
        "metrics": Node | None,
        "decoder": Node | None,
        "accelerator": _Accelerator,
        "trust": different(Text),
        "stages": Nodes | None,
        "prediction": Text | None,
        "reference": Text | None,
        "classes": different(Name, 1, 255) | None,
        "values": list_of(Anything, 1) | None,
        "background": Count | None,
        "spacing": list_of(Above, 2, 3) | None,
        "masks_are": Literal["classes", "instances"],
        "output": Text | None,
    },
    "describe": training.KEYS["train"]
    | {
        "channels": Positive,
        "classes": least_integer(2, 255),
        "dims": Dimensions | None,
        "patch": Sizes | None,
        "batch": Positive | None,
        "output": Text | None,
    },
    "prepare": dict.fromkeys(
        ("data", "task", "loss", "inference", "augmentation", "model", "decoder", "metrics"), Node | None
    ),
    "compare": {
        "runs": _Places | None,
        "scores": Text | None,
        "output": Text | None,
        "metric": Labels | None,
        "ranking": Literal["mean", "median", "per_case", "significance", "tiers"],
        "ties": Literal["min", "max", "average", "dense"],
        "cuts": different(Least, 1),
        "baseline": Name | None,
        "select": Labels | None,
        "may_differ": Labels | None,
        "strict": Flag,
        "missing": Literal["worst", "drop"] | Number | None,
        "absent": Literal["ignore", "perfect"],
        "better": _Direction | dict[str, _Direction] | None,
        "methods": Node,
        "bootstraps": Count,
        "confidence": Annotated[float, Field(gt=0, lt=1)],
        "seed": Seed,
        "publish": Literal["wandb"] | None,
        "wandb": Node,
    },
    "compare.methods": {"rename": dict[str, Name] | None},
    "compare.wandb": {
        "project": Text | None,
        "entity": Text | None,
        "group": Name | None,
        "mode": Literal["online", "offline"] | None,
        "workspace": Flag,
    },
    "status": {"runs": _Places, "all": Flag},
    "publish": {
        "runs": _Places,
        "project": Text | None,
        "entity": Text | None,
        "group": Name | None,
        "at_once": Positive,
        "start_timeout": Above,
        "close_timeout": Above,
        "again": Flag,
    },
    "hydra_plugins.segbench.Basic": _LAUNCHER,
    "hydra_plugins.segbench.Local": _LAUNCHER
    | {
        "at_once": Positive | None,
        "runs_per_gpu": Positive,
        "gpus": different(Count | Text, 1) | None,
        "threads": Positive | None,
    },
    "hydra_plugins.segbench.Slurm": _LAUNCHER
    | {
        "partition": Name | None,
        "account": Name | None,
        "qos": Name | None,
        "constraint": Name | None,
        "exclude": Name | None,
        "nodes": Positive,
        "timeout_min": Positive,
        "tasks_per_node": Positive | Literal["auto"],
        "gpus_per_node": Count | Text | None,
        "cpus_per_task": Positive | None,
        "mem_gb": Above | None,
        "array_parallelism": Positive,
        "setup": list_of(Text),
        "additional_parameters": dict[str, Anything],
        "stderr_to_stdout": Flag,
        "srun_args": list_of(Text),
        "signal_delay_s": Positive,
        "requeues": Count,
        "code": Literal["refuse", "keep", "renew"],
        "poll": Above,
    },
    "hydra_plugins.segbench.Grid": {"max_batch_size": Positive | None, "params": dict[str, Anything] | None},
    "hydra_plugins.segbench.Optuna": {
        "trials": Positive,
        "at_once": Positive,
        "sampler": Node,
        "pruner": Node | None,
        "params": dict[str, Anything] | None,
    },
    "optuna.samplers.TPESampler": {"n_startup_trials": Count, "seed": Seed | None},
    "optuna.pruners.MedianPruner": {"n_startup_trials": Count, "n_warmup_steps": Count},
}
