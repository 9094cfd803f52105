"""Weights & Biases."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import wandb
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities import rank_zero_only

from segbench.rundir import RunDirectory


class Wandb(WandbLogger):
    """Curves, configuration, summary, previews, and `cases.csv` as an artifact.

    The id of the W&B run is kept in the run directory, so that a continued run continues the same W&B
    run.

    Args:
        directory: the run directory.
        config: the resolved configuration.
        mode: "online", "offline" or "disabled"; the environment variable WANDB_MODE goes first.
        project: W&B project.
        entity: W&B team or user.
        group: runs that belong together, such as those of a sweep; by default the folder of the run.
        tags: of the run, besides its choices.
    """

    def __init__(
        self,
        directory: RunDirectory,
        config: Mapping[str, Any],
        mode: str = "offline",
        project: str = "segbench",
        entity: str | None = None,
        group: str | None = None,
        tags: Sequence[str] = (),
    ) -> None:
        self.directory = directory
        choices = directory.record["choices"]
        super().__init__(
            name=directory.record["name"],
            id=directory.record["wandb_id"],
            save_dir=directory.path,
            project=project,
            entity=entity,
            group=group or directory.path.parent.name,
            job_type="train",
            tags=[*tags, *(f"{key}:{value}"[:64] for key, value in choices.items() if key != "experiment")],
            config=flatten(config),
            mode=os.environ.get("WANDB_MODE", mode),
            resume="allow",
            settings=wandb.Settings(silent=True, console="off", disable_git=True, save_code=False),
        )

        self._wandb_init.pop("anonymous", None)  # Lightning passes it, and wandb warns of it

    def save(self) -> None:
        """W&B writes by itself."""

    @rank_zero_only
    def record_result(self, summary: Mapping[str, float]) -> None:
        """Adds what a finished run has to show."""
        path = self.directory.path
        run = self.experiment
        run.summary.update(dict(summary))
        pictures = sorted(path.glob("previews/*.png")) + sorted(path.glob("curves.png"))
        run.log({f"pictures/{picture.stem}": wandb.Image(str(picture)) for picture in pictures})
        artifact = wandb.Artifact(f"cases-{run.id}", type="cases")
        for name in ("cases.csv", "config.yaml", "metrics.csv", "split.json", "run.json"):
            artifact.add_file(str(path / name))
        run.log_artifact(artifact)
        if not run.offline:
            self.directory.update(wandb_url=run.url)

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Left to `close`: Lightning finalizes after training, before there are results."""

    @rank_zero_only
    def close(self, failed: bool) -> None:
        """Ends the W&B run, as failed or not."""
        if self._experiment is not None:
            self._experiment.finish(exit_code=1 if failed else 0)


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """`{"model": {"norm": "batch"}}` as `{"model.norm": "batch"}`; `_target_` and its like are left out."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        elif not str(key).startswith("_"):
            flat[f"{prefix}{key}"] = value
    return flat
