"""Milliseconds of each target that is made from objects, for a patch of 512 x 512 pixels with 200 of them.

The targets take turns, in one thread; the figure is the median of the processor times of their calls.
"""

import statistics
import sys
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).parents[1]))

from segbench.data.sample import Sample
from segbench.data.targets.contours import ClassesAndBorder, Contour
from segbench.data.targets.distances import DistanceTransform, InnerDistance, OuterDistance
from segbench.data.targets.flows import GradientFlow
from segbench.data.targets.stars import StarDistances

SIZE, OBJECTS, ROUNDS = 512, 200, 15
TARGETS = (
    Contour(), Contour(touching=True), ClassesAndBorder(2), InnerDistance(), OuterDistance(), DistanceTransform(),
    GradientFlow(), StarDistances(32),
)  # fmt: skip


def touching_cells() -> np.ndarray:
    """Ellipses of radii from 10 to 17 pixels, that hide each other a little."""
    rng = np.random.default_rng(0)
    places, instances = np.indices((SIZE, SIZE)), np.zeros((SIZE, SIZE), np.int32)
    number = 0
    while number < OBJECTS:
        centre, radii, angle = rng.uniform(0, SIZE, 2), rng.uniform(10, 17, 2), rng.uniform(0, np.pi)
        row, column = places - centre[:, None, None]
        along = row * np.cos(angle) + column * np.sin(angle), column * np.cos(angle) - row * np.sin(angle)
        inside = (along[0] / radii[0]) ** 2 + (along[1] / radii[1]) ** 2 <= 1
        if (instances[inside] > 0).mean() < 0.15:
            number += 1
            instances[inside & (instances == 0)] = number
    return instances


def main() -> None:
    """Print the table."""
    instances = touching_cells()
    label = (instances > 0).astype(np.uint8)
    sample = Sample(np.zeros((1, SIZE, SIZE), np.float32), label, instances, (1.0, 1.0))
    times: dict[str, list[float]] = {}
    with threadpool_limits(1):
        for _ in range(ROUNDS):
            for target in TARGETS:
                start = time.process_time()
                target(sample)
                times.setdefault(repr(target), []).append(1000 * (time.process_time() - start))
    table = Table(title=f"{SIZE} x {SIZE} pixels, {OBJECTS} objects on {label.mean():.0%} of them")
    table.add_column("target")
    table.add_column("ms", justify="right")
    for name, values in times.items():
        table.add_row(name, f"{statistics.median(values):.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
