"""A planner: from a fingerprint to configurations in 2D, 3D and 3D at a lower resolution, within a memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from segbench.errors import UserError
from segbench.planning.feature_maps import Count, Layout
from segbench.planning.fingerprint import Fingerprint
from segbench.planning.grid import find_grid
from segbench.planning.normalization import find_schemes
from segbench.planning.patch import Start
from segbench.planning.plan import Configuration, Plan
from segbench.planning.topology import Rule, Topology


@dataclass(frozen=True)
class Budget:
    """The limits of a training step in 2D or in 3D, and its start.

    Attributes:
        features: channels of the first stage, doubled from stage to stage.
        most_features: their limit.
        maps: numbers in the feature maps of a patch that fit into `Planner.maps_gb`..
        batch: ..in a batch of so many.
        start: the largest patch.
        patches: how many must fit at least: the patch is made smaller until they do; 0: it stays as it is.
    """

    features: int
    most_features: int
    maps: float
    batch: int
    start: Start
    patches: int = 2


@dataclass(frozen=True)
class LowResolution:
    """The condition of a lower resolution for volumes, and that resolution.

    Attributes:
        covers: share of the median case that a patch must cover.
        patch: voxels of the patch that this is asked of; None: those of the planned one.
        growth: of the spacing from try to try; finer axes first, until they are within a factor of 2.
        least_ratio: of the voxels at full and at low resolution, below which the latter is left out.
    """

    covers: float = 0.25
    patch: int | None = None
    growth: float = 1.03
    least_ratio: float = 2.0


@dataclass(frozen=True)
class Planner:
    """The values that generations of nnU-Net differ in; the rule that they share is here.

    Attributes:
        memory_gb: of the device, of which a step may use about so much.
        maps_gb: the memory that the budgets' `maps` are of.
        configuration: the one that a run trains: 2d, 3d_fullres, 3d_lowres, or auto.
        plane: of 2D patches.
        volume: of 3D patches.
        topology: rule for strides and kernels.
        maps: counts the numbers in feature maps.
        encoder: convolutions or blocks of each stage; the last number is that of all further stages.
        decoder: likewise.
        low_resolution: see there.
        least_batch: patches of a step at least.
        most_of_data: share of the voxels of all cases that a batch has at most.
        batch_rounded: whether the batch is rounded to the nearest number, or down.
    """

    memory_gb: float
    maps_gb: float
    configuration: str
    plane: Budget
    volume: Budget
    topology: Rule
    maps: Count
    encoder: Sequence[int]
    decoder: Sequence[int]
    low_resolution: LowResolution
    least_batch: int = 2
    most_of_data: float = 0.05
    batch_rounded: bool = True

    def plan(self, fingerprint: Fingerprint) -> Plan:
        """Plan all configurations of a data set.

        Raises:
            UserError: where not even the smallest patch fits into the memory.
        """
        fingerprint = fingerprint.as_volumes
        grid = find_grid(fingerprint)
        voxels = float(np.prod(grid.shape))
        plane = self._configuration(fingerprint, grid.spacing[1:], grid.shape[1:], voxels)
        full = low = None
        if grid.shape[0] != 1:
            full = self._configuration(fingerprint, grid.spacing, grid.shape, voxels)
            low = self._low(fingerprint, full)
            full = replace(full, batch_dice=low is not None)
        return Plan(
            order=grid.order,
            original_shape=grid.original_shape,
            coarse=grid.coarse,
            memory_gb=self.memory_gb,
            plane=replace(plane, batch_dice=True),
            full=full,
            low=low,
        )

    def with_patch(self, fingerprint: Fingerprint, one: Configuration, patch: Sequence[int]) -> Configuration:
        """The same configuration for a patch of another size, with the network and the batch that suit it.

        Args:
            fingerprint: of the data.
            one: the planned configuration.
            patch: along each axis, in the plan's order.
        """
        budget = self.plane if len(patch) == 2 else self.volume
        layout = self._layout(budget, self.topology(one.spacing, patch))
        voxels = float(np.prod(one.median_shape))
        return self._finished(fingerprint.as_volumes, np.array(one.spacing), np.array(one.median_shape), voxels, layout)

    def network(self, patch: Sequence[int], spacing: Sequence[float] | None = None) -> Layout:
        """The network for patches of a size, whatever the memory.

        Args:
            patch: along each axis.
            spacing: likewise; None: isotropic.
        """
        budget = self.plane if len(patch) == 2 else self.volume
        return self._layout(budget, self.topology(spacing or (1.0,) * len(patch), patch))

    def _low(self, fingerprint: Fingerprint, full: Configuration) -> Configuration | None:
        """The configuration at the spacing at which a patch covers enough of a case; None where it is not needed."""
        rule = self.low_resolution
        shape, fine = np.array(full.median_shape), np.array(full.spacing)
        whole = voxels = float(np.prod(shape))
        spacing, found = fine, None
        seen = rule.patch or int(np.prod(full.patch))
        while seen / voxels < rule.covers:
            finer = spacing.max() / spacing > 2
            spacing = np.where(finer if finer.any() else True, spacing * rule.growth, spacing)
            voxels = float(np.prod(fine / spacing * shape))
            median = np.array([round(float(size)) for size in fine / spacing * shape])
            found = self._configuration(fingerprint, spacing, median, voxels)
            seen = rule.patch or int(np.prod(found.patch))
        return None if whole / voxels < rule.least_ratio else found

    def _configuration(
        self, fingerprint: Fingerprint, spacing: np.ndarray, median: np.ndarray, voxels: float
    ) -> Configuration:
        """Plan patch, network and batch of one grid.

        Args:
            fingerprint: of the data.
            spacing: of the grid.
            median: size of the cases on it.
            voxels: of the median volume, also where the patches are slices of it.
        """
        budget = self.plane if len(spacing) == 2 else self.volume
        maps = self._fitting(budget)
        layout = self._layout(budget, self.topology(spacing.tolist(), budget.start(spacing, median)))
        while self._count(fingerprint, layout) * budget.patches > maps * budget.batch:
            layout = self._layout(budget, self._smaller(layout.topology, spacing, median))
        return self._finished(fingerprint, spacing, median, voxels, layout)

    def _finished(
        self, fingerprint: Fingerprint, spacing: np.ndarray, median: np.ndarray, voxels: float, layout: Layout
    ) -> Configuration:
        """The configuration of a network, with the batch that fits."""
        budget = self.plane if len(spacing) == 2 else self.volume
        count = self._count(fingerprint, layout)
        fits = self._fitting(budget) / count * budget.batch
        covered = round(voxels * fingerprint.cases * self.most_of_data / float(np.prod(layout.topology.patch)))
        batch = max(min(round(fits) if self.batch_rounded else int(fits), covered), self.least_batch)
        schemes, masked = find_schemes(fingerprint.modalities, fingerprint.relative_size_after_cropping)
        return Configuration(
            batch=batch,
            spacing=tuple(map(float, spacing)),
            median_shape=tuple(map(float, median)),
            layout=layout,
            schemes=tuple(schemes),
            masked=tuple(masked),
            memory_gb=self.maps_gb * count * batch / (budget.maps * budget.batch),
        )

    def _fitting(self, budget: Budget) -> float:
        """Numbers in the feature maps of a patch that fit into the memory, in batches of `budget.batch`."""
        return budget.maps * self.memory_gb / self.maps_gb

    def _count(self, fingerprint: Fingerprint, layout: Layout) -> int:
        return self.maps(layout, fingerprint.channels, fingerprint.classes)

    def _layout(self, budget: Budget, topology: Topology) -> Layout:
        stages = len(topology.strides)
        return Layout(
            topology,
            tuple(min(budget.most_features, budget.features * 2**stage) for stage in range(stages)),
            _extended(self.encoder, stages),
            _extended(self.decoder, stages - 1),
        )

    def _smaller(self, topology: Topology, spacing: np.ndarray, median: np.ndarray) -> Topology:
        """The topology of the next smaller patch: less of the axis that is longest in relation to the median case.

        The step is the divisor of that axis in a patch that is smaller by today's divisor: 256 voxels that are halved
        six times become 224, which are halved five times, and not 192.

        Raises:
            UserError: where nothing is left.
        """
        patch = np.array(topology.patch)
        axis = np.argsort(patch / median)[-1]
        tried = patch.copy()
        tried[axis] -= topology.divisor[axis]
        step = (
            self.topology(spacing.tolist(), tried.tolist()).divisor[axis] if tried[axis] > 0 else topology.divisor[axis]
        )
        patch[axis] -= step
        if patch[axis] <= 0:
            raise UserError(
                f"plan.memory_gb={self.memory_gb:g}: no patch is small enough for it; give more, or fewer plan.plane."
                "features and plan.volume.features"
            )
        return self.topology(spacing.tolist(), patch.tolist())


def _extended(numbers: Sequence[int], count: int) -> tuple[int, ...]:
    """The first `count` numbers, of which the last is repeated."""
    return (*numbers, *[numbers[-1]] * count)[:count]
