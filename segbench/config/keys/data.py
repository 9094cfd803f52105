"""Keys of the data sets, and of the augmentation."""

from typing import Annotated, Literal

from pydantic import Field

from segbench.config.keys.kinds import (
    Above,
    AnyText,
    Anything,
    Count,
    Degrees,
    Dimensions,
    Flag,
    Kind,
    Least,
    Name,
    Node,
    Nodes,
    Number,
    Positive,
    Seed,
    Share,
    Sizes,
    Text,
    by_name,
    different,
    least_integer,
    list_of,
    span,
)

_VALUE = Annotated[int, Field(ge=0)] | Text
"""The value of a pixel, or its colour."""

_SCALE = Annotated[float, Field(ge=0.1, le=4)]
_DRAWN: dict[str, Kind] = {"cases": Positive, "size": list_of(Positive, 2, 2), "seed": Seed}
_DRAWN_WITH: dict[str, Kind] = {"probability": Share}

KEYS: dict[str, dict[str, Kind]] = {
    "data": {
        "root": Text | None,
        "batch_size": Positive | None,
        "batch_size_per": Literal["run", "device"],
        "patch_size": Sizes | None,
        "workers": Count | Literal["auto"],
        "foreground": Share,
        "normalize": Literal["zscore", "percentile", "unit", "imagenet", "none"],
        "input_arrays": different(Text),
        "regions": by_name(list_of(Count | Text, 1)) | None,
        "cache": Text,
        "dataset": Node,
    },
    "segbench.data.datasets.bach.Bach": {"root": Text, "folder": Text, "downsample": Positive},
    "segbench.data.datasets.cell_tracking.CellTracking": {
        "root": Text,
        "folder": Text,
        "truth": Literal["gold", "silver"],
        "sequences": different(Text, 1),
        "test": different(Text),
        "block_size": Positive | None,
    },
    "segbench.data.datasets.drive.Drive": {"root": Text, "parts": different(Literal["training", "test"], 1)},
    "segbench.data.datasets.dsb2018.Dsb2018": {"root": Text, "folder": Text},
    "segbench.data.datasets.epfl_mitochondria.EpflMitochondria": {
        "root": Text,
        "spatial_dims": Dimensions,
        "block_size": Positive,
        "spacing": Above,
    },
    "segbench.data.datasets.folder.Folder": {
        "root": Text,
        "name": Name,
        "classes": different(Text, 1, 255),
        "background": Count | None,
        "values": list_of(_VALUE | list_of(_VALUE, 1), 1) | None,
        "ignore": list_of(_VALUE),
        "masks_are": Literal["classes", "instances"],
        "images": Text,
        "masks": Text,
        "instances": Text | None,
        "image_suffix": AnyText,
        "mask_suffix": AnyText,
        "group_pattern": Text | None,
        "block_size": Positive | None,
        "parts": dict[str, Text] | None,
        "image_pattern": Text | None,
        "mask_pattern": Text | None,
        "spacing": list_of(Above, 2, 3) | Literal["pixels"] | None,
        "spacing_file": Text | None,
        "orientation": Literal["stored", "shown"] | None,
        "spatial_dims": Dimensions,
        "arrays": Nodes | None,
        "field_of_view": Text | None,
    },
    "segbench.data.datasets.folder.Folder.arrays.*": {
        "folder": Text,
        "suffix": AnyText,
        "labels": Flag,
        "pattern": Text | None,
    },
    "segbench.data.datasets.glas.Glas": {"root": Text, "test": Literal["A", "B", "AB"]},
    "segbench.data.datasets.isbi2012.Isbi2012": {"root": Text, "test_sections": Count, "block_size": Positive},
    "segbench.data.datasets.monuseg.Monuseg": {"root": Text, "train": Text, "test": Text | None},
    "segbench.data.datasets.synthetic_cells.SyntheticCells": _DRAWN,
    "segbench.data.datasets.synthetic_tissue.SyntheticTissue": _DRAWN
    | {"scale": Annotated[float, Field(ge=0.1, le=4)]},
    "segbench.data.datasets.synthetic_vessels.SyntheticVessels": _DRAWN,
    "segbench.data.datasets.wbc.Wbc": {"root": Text, "folder": Text},
    "segbench.data.augmentations.pipeline.Augmentation": {
        "spatial": Node,
        "matching": Node | None,
        "colour": Nodes,
        "intensity": Nodes,
    },
    "segbench.data.augmentations.spatial.Spatial": {
        "flip": Share | list_of(Share, 2, 3),
        "quarter_turns": Share,
        "rotation": Degrees | Node,
        "rotation_probability": Share,
        "scaling": span(Above),
        "scaling_probability": Share,
        "translation": Share,
        "translation_probability": Share,
        "elastic": Node | None,
        "elastic_probability": Share,
        "distortion": span(Annotated[float, Field(gt=-1 / 3, le=1)]),
        "distortion_probability": Share,
        "thick_slices": Annotated[float, Field(ge=1)] | None,
        "flat_patch": Annotated[float, Field(ge=1)] | None,
    },
    "segbench.data.augmentations.spatial.RotationByShape": {
        "volume": Degrees,
        "slices": Degrees,
        "elongated": Degrees,
        "elongation": Annotated[float, Field(ge=1)],
    },
    "segbench.data.augmentations.elastic.ControlPoints": {
        "deviation": Least,
        "points": least_integer(2),
        "interpolation": Literal["spline", "bicubic"],
    },
    "segbench.data.augmentations.elastic.SmoothedNoise": {"alpha": span(Least), "sigma": span(Above)},
    "segbench.data.augmentations.colour.HistogramMatching": _DRAWN_WITH,
    "segbench.data.augmentations.colour.StainJitter": _DRAWN_WITH
    | {"factor": span(Least), "shift": span(Number), "white": Above | None},
    "segbench.data.augmentations.colour.HueJitter": _DRAWN_WITH
    | {
        "hue": span(Annotated[float, Field(ge=-1, le=1)]),
        "saturation": span(Least),
        "value": span(Least),
        "white": Above | None,
    },
    "segbench.data.augmentations.pipeline.Noise": _DRAWN_WITH | {"variance": span(Least)},
    "segbench.data.augmentations.pipeline.Blur": _DRAWN_WITH | {"sigma": span(Least), "channels": Share},
    "segbench.data.augmentations.pipeline.Brightness": _DRAWN_WITH | {"shift": span(Number), "factor": span(Least)},
    "segbench.data.augmentations.pipeline.Contrast": _DRAWN_WITH | {"factor": span(Least), "keep_range": Flag},
    "segbench.data.augmentations.pipeline.Gamma": _DRAWN_WITH
    | {"exponent": span(Above), "invert": Flag, "channels_apart": Flag},
    "segbench.data.augmentations.pipeline.LowResolution": _DRAWN_WITH
    | {
        "zoom": span(Annotated[float, Field(gt=0, le=1)]),
        "channels": Share,
        "axes": different(Count, 1, 3) | None,
        "flat_patch": Annotated[float, Field(ge=1)] | None,
    },
    "segbench.data.augmentations.albumentations_engine.saved_pipeline": {"file": Text, "pipeline": Anything},
}
