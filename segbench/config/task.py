"""The task of a run: its heads, what each learns, and by which loss."""

from __future__ import annotations

import re

from omegaconf import DictConfig

from segbench.errors import UserError

OF_A_BATCH = ("image", "weight", "case_id")
"""The arrays of a batch besides the targets, which have the names of their heads."""


def check_task(task: DictConfig) -> None:
    """Check that heads, targets and objective match, and that heads have names of their own.

    Raises:
        UserError: naming the key that has no counterpart, or the head.
    """
    parts = {name: set(map(str, task[name])) for name in ("heads", "targets", "objective")}
    for name, keys in parts.items():
        for other, other_keys in parts.items():
            for odd in sorted(keys - other_keys):
                raise UserError(
                    f"task.{name}.{odd}: there is no task.{other}.{odd}; heads, targets and objective must match"
                )
    for head in sorted(parts["heads"]):
        if not re.fullmatch(r"[A-Za-z]\w*", head) or head in OF_A_BATCH:
            raise UserError(
                f"task.heads.{head}: must be letters, digits and _, and none of {', '.join(OF_A_BATCH)}, which a batch"
                " has besides"
            )


def check_decoder(decoder: DictConfig, task: DictConfig) -> None:
    """Check that the task has the heads that the decoder goes by: those that its keys `head` and `*_head` name.

    Raises:
        UserError: naming the key, and the heads that there are.
    """
    for key, head in ((str(key), str(head)) for key, head in decoder.items()):
        if (key == "head" or key.endswith("_head")) and head not in task.heads:
            raise UserError(
                f"decoder.{key}={head}: the task has no such head, only {', '.join(map(str, task.heads))}; choose"
                " another decoder=.., or a task=.. that has it"
            )
