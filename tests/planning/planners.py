"""The planners of conf/planner, for tests."""

from functools import cache

from segbench.config.instantiation import build
from segbench.planning.fingerprint import Fingerprint
from segbench.planning.planner import Planner
from tests.made_runs import configure


@cache
def planner(name: str = "nnunet", *overrides: str) -> Planner:
    """A planner as its YAML file describes it."""
    return build(configure(f"planner={name}", *overrides, command="plan").plan, "plan")


def alike(shape: tuple[int, ...], spacing: tuple[float, ...], cases: int = 30, **facts) -> Fingerprint:
    """The fingerprint of cases that are all of one size."""
    values = {"name": "made", "modality": "MRI", "channels": 1, "classes": 2, "relative_size_after_cropping": 1.0}
    return Fingerprint(**values | facts, cases=cases, spacings=(spacing,) * cases, shapes=(shape,) * cases)
