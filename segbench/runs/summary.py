"""The summary of a run: means over its test cases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd


def summarise(cases: pd.DataFrame) -> dict[str, float]:
    """Mean over cases of each metric and class, and over classes: `test/dice/nucleus`, `test/dice`."""
    per_class = cases.groupby(["metric", "class"], sort=False)["value"].mean()
    keys = (f"test/{metric}/{name}" for metric, name in per_class.index)
    summary = dict(zip(keys, map(float, per_class), strict=True))
    means: Mapping[Any, float] = per_class.groupby(level="metric", sort=False).mean().to_dict()
    return summary | {f"test/{metric}": float(value) for metric, value in means.items()}
