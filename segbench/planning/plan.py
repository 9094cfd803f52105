"""A plan: what was decided for a data set, as values and as the content of files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from segbench.errors import UserError
from segbench.planning.feature_maps import Layout


@dataclass(frozen=True)
class Configuration:
    """One way to train: 2D, 3D, or 3D at a lower resolution. Axes are in the plan's order.

    Attributes:
        batch: patches of a step.
        spacing: that cases are resampled to.
        median_shape: of the cases then, in voxels.
        layout: patch and network.
        schemes: normalisation of each channel, in nnU-Net's words.
        masked: whether it is that inside the non-zero mask.
        memory_gb: of a step, estimated.
        batch_dice: whether Dice is that of a whole batch, as one image.
    """

    batch: int
    spacing: tuple[float, ...]
    median_shape: tuple[float, ...]
    layout: Layout
    schemes: tuple[str, ...]
    masked: tuple[bool, ...]
    memory_gb: float
    batch_dice: bool = False

    @property
    def patch(self) -> tuple[int, ...]:
        """Voxels of a patch along each axis."""
        return self.layout.topology.patch

    def as_json(self) -> dict[str, Any]:
        """The values in nnU-Net's words."""
        topology = self.layout.topology
        return {
            "batch_size": self.batch,
            "patch_size": list(self.patch),
            "spacing": list(self.spacing),
            "median_image_size_in_voxels": list(self.median_shape),
            "normalization_schemes": list(self.schemes),
            "use_mask_for_norm": list(self.masked),
            "batch_dice": self.batch_dice,
            "n_stages": len(topology.strides),
            "features_per_stage": list(self.layout.features),
            "kernel_sizes": [list(kernel) for kernel in topology.kernels],
            "strides": [list(stride) for stride in topology.strides],
            "n_conv_or_blocks_encoder": list(self.layout.encoder),
            "n_conv_decoder": list(self.layout.decoder),
        }


@dataclass(frozen=True)
class Plan:
    """All configurations of a data set.

    Attributes:
        order: the axes of the data in the order in which they are planned.
        original_shape: median size of the cases as they are, in this order.
        coarse: whether slices along the first axis are few and thick.
        memory_gb: that it was planned for.
        plane: 2D.
        full: 3D; None for images.
        low: 3D at a lower resolution; None where a patch covers enough at the full one.
    """

    order: tuple[int, int, int]
    original_shape: tuple[int, ...]
    coarse: bool
    memory_gb: float
    plane: Configuration
    full: Configuration | None
    low: Configuration | None

    @property
    def configurations(self) -> dict[str, Configuration]:
        """The configurations that there are, by nnU-Net's names."""
        named = {"2d": self.plane, "3d_fullres": self.full, "3d_lowres": self.low}
        return {name: one for name, one in named.items() if one is not None}

    def choose(self, name: str) -> Configuration:
        """The configuration of a name, or for "auto" that in 3D, of images that in 2D.

        Raises:
            UserError: where there is none of this name.
        """
        if name == "auto":
            return self.full or self.plane
        if name not in self.configurations:
            raise UserError(f"plan.configuration={name}: this data has {', '.join(self.configurations)}")
        return self.configurations[name]

    def as_json(self) -> dict[str, Any]:
        """The values in nnU-Net's words, with a cascade where there is a low resolution."""
        configurations = {name: one.as_json() for name, one in self.configurations.items()}
        if self.low is not None:
            configurations["3d_lowres"]["next_stage"] = "3d_cascade_fullres"
            configurations["3d_cascade_fullres"] = {"inherits_from": "3d_fullres", "previous_stage": "3d_lowres"}
        return {
            "transpose_forward": list(self.order),
            "original_median_shape_after_transp": list(self.original_shape),
            "configurations": configurations,
        }
