"""Keys of the planners."""

from typing import Literal

from segbench.config.keys.kinds import Above, Channels, Count, Flag, Kind, Node, Positive, Share, list_of

KEYS: dict[str, dict[str, Kind]] = {
    "segbench.planning.planner.Planner": {
        "memory_gb": Above,
        "maps_gb": Above,
        "configuration": Literal["auto", "2d", "3d_fullres", "3d_lowres"],
        "topology": Node,
        "maps": Node,
        "plane": Node,
        "volume": Node,
        "encoder": Channels,
        "decoder": Channels,
        "low_resolution": Node,
        "least_batch": Positive,
        "most_of_data": Share,
        "batch_rounded": Flag,
    },
    "segbench.planning.planner.Budget": {
        "features": Positive,
        "most_features": Positive,
        "maps": Above,
        "batch": Positive,
        "patches": Count,
        "start": Node,
    },
    "segbench.planning.planner.LowResolution": {
        "covers": Share,
        "patch": Positive | None,
        "growth": Above,
        "least_ratio": Above,
    },
    "segbench.planning.topology.by_spacing": {"least_edge": Positive},
    "segbench.planning.topology.pooled_late": {"least_edge": Positive},
    "segbench.planning.topology.by_size": {"least_edge": Positive, "most": list_of(Positive, 2, 2)},
    "segbench.planning.patch.same_extent": {"edge": Positive},
    "segbench.planning.patch.extent_of": {"mm": Above},
    "segbench.planning.patch.same_shape": {"voxels": Positive},
}
