"""The direction of a metric, and the criterion that chooses a checkpoint."""

from __future__ import annotations

from typing import Literal, get_args

Direction = Literal["larger", "smaller"]

DIRECTIONS: tuple[Direction, ...] = get_args(Direction)
