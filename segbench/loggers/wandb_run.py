"""The content of a run on W&B: the same while it trains as when it is published later."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segbench.config.identity import NOT_SCIENCE
from segbench.runs.criterion import best_score
from segbench.runs.curves import read_curves
from segbench.runs.uploads import GROUP_LENGTH

if TYPE_CHECKING:
    import wandb

JOB = "train"
ARTIFACT = "cases"
ARTIFACT_FILES = ("cases.csv", "config.yaml", "metrics.csv", "split.json", "run.json")
"""The artifact's files that `segbench compare runs=wandb:..` reads back."""

NO_COLUMNS = (*NOT_SCIENCE, "measured", "metrics", "task.objective.mask.loss")
"""Keys without a column: where and how a run is executed, facts of the data, long lists (their choice has a
column), and what repeats `loss`. All are in config.yaml of the run's artifact."""

PATHS = ("augmentation.file", "initial_weights", "split.file")
"""Keys that are paths: the column has the name alone."""

NO_TAGS = ("logger", "trainer", "callbacks")
_TAG_LENGTH = 64  # W&B refuses longer ones


def identity(path: Path, record: Mapping[str, Any], group: str | None, tags: Sequence[str]) -> dict[str, Any]:
    """Arguments of `wandb.init` that say who a run is.

    Args:
        path: the run directory.
        record: its run.json.
        group: None: the name of the folder that the run directory is in, such as the sweep's.
        tags: besides the run's choices.
    """
    choices = {key: option for key, option in record["choices"].items() if key not in NO_TAGS}
    return {
        "id": record["wandb_id"],
        "name": record["name"],
        "group": (group or path.absolute().parent.name)[:GROUP_LENGTH],
        "job_type": JOB,
        "tags": [tag[:_TAG_LENGTH] for tag in (*tags, *(f"{key}:{option}" for key, option in choices.items()))],
        "resume": "allow",
    }


def columns(config: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of W&B's table of runs that show the configuration.

    Each choice is a column (`model`: unet_small), and each value of its own (`model/norm`: batch). Names
    have no dots: W&B cannot filter or group by such names.

    Args:
        config: the resolved configuration.
        record: the run's run.json.
    """
    commit = (record.get("git") or {}).get("commit")
    hardware = record.get("hardware") or {}
    facts = {
        **{key: option for key, option in record["choices"].items() if key not in NO_TAGS},
        "budget": config.get("budget"),
        "run": record["id"],
        "commit": commit and commit[:12],
        "device": ", ".join(sorted(set(hardware.get("gpus") or []))) or hardware.get("processor"),
    }
    named = {key: value for key, value in facts.items() if value is not None}
    return named | {key.replace(".", "/"): value for key, value in _values(config, "")}


def _values(node: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    """The values of a configuration that have a column, with their keys; nothing that is not set, no classes."""
    for name, value in node.items():
        key = f"{prefix}{name}"
        if str(name).startswith("_") or key in NO_COLUMNS or value is None or value in ([], {}, ""):
            continue
        if isinstance(value, Mapping):
            if not str(value.get("_target_", "")).startswith("hydra.utils."):  # names a function, sets nothing
                yield from _values(value, f"{key}.")
        else:
            yield key, Path(value).name if key in PATHS else value


def pictures(path: Path) -> list[Path]:
    """The pictures of a finished run: its previews and the picture of its curves."""
    return sorted(path.glob("previews/*.png")) + sorted(path.glob("*.png"))


def result_step(path: Path, record: Mapping[str, Any]) -> int:
    """The step at which a finished run's pictures stand: after all others, and the same whenever it is asked."""
    last = max((step for step, _ in read_curves(path)), default=0)
    return max(last, int((record.get("training") or {}).get("steps", 0))) + 1


def log_row(run: wandb.Run, step: int, values: Mapping[str, Any]) -> None:
    """Send the values of one step, unless the server had that step when this run was begun or continued."""
    if step >= run.starting_step:
        run.log(dict(values), step=step)


def log_result(run: wandb.Run, path: Path, record: Mapping[str, Any], summary: Mapping[str, float]) -> None:
    """Send what a trained and tested run has to show: scores, cost, pictures."""
    import wandb

    training = record.get("training") or {}
    known = {"validation/best_score": best_score(record), "validation/best_step": training.get("best_step")}
    best = {key: value for key, value in known.items() if value is not None}
    shown = {f"pictures/{picture.stem}": wandb.Image(str(picture)) for picture in pictures(path)}
    if shown:
        log_row(run, result_step(path, record), shown)
    run.summary.update({**summary, **best})


def log_files(run: wandb.Run, path: Path) -> wandb.Artifact:
    """Send the tables and records of a finished run as an artifact; they must not change until they are sent."""
    import wandb

    artifact = wandb.Artifact(f"{ARTIFACT}-{run.id}", type=ARTIFACT)
    for name in ARTIFACT_FILES:
        artifact.add_file(str(path / name), policy="immutable", skip_cache=True)  # without copies in the home folder
    run.log_artifact(artifact)
    return artifact
