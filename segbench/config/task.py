"""The task of a run: its heads, what each learns, and by which loss."""

from __future__ import annotations

from omegaconf import DictConfig

from segbench.errors import UserError


def check_task(task: DictConfig) -> None:
    """Check that heads, targets and objective match.

    Raises:
        UserError: naming the key that has no counterpart.
    """
    parts = {name: set(map(str, task[name])) for name in ("heads", "targets", "objective")}
    for name, keys in parts.items():
        for other, other_keys in parts.items():
            for odd in sorted(keys - other_keys):
                raise UserError(
                    f"task.{name}.{odd}: there is no task.{other}.{odd}; heads, targets and objective must match"
                )
