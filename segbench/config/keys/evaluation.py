"""Keys of losses, inference, decoders and metrics."""

from typing import Annotated, Literal

from pydantic import Field

from segbench.config.keys.kinds import (
    Above,
    BelowOne,
    Count,
    Flag,
    Kind,
    Least,
    Node,
    Nodes,
    Number,
    Positive,
    Share,
    Sizes,
    Text,
    different,
    integers,
    least_integer,
    list_of,
    odd,
)

_Ignore = least_integer(0, 255)
_Connectivity = integers(1, 2, 3)
_SMOOTH: dict[str, Kind] = {"include_background": Flag, "batch": Flag, "smooth": Least, "ignore_index": _Ignore}
_MONAI: dict[str, Kind] = {
    "loss": Node,
    "include_background": Flag,
    "batch": Flag,
    "squared_pred": Flag,
    "jaccard": Flag,
    "smooth_nr": Least,
    "smooth_dr": Least,
    "softmax": Flag,
    "to_onehot_y": Flag,
    "alpha": Least,
    "beta": Least,
    "ignore_index": _Ignore,
}
_VIEWS: dict[str, Kind] = {"mirror": Flag | list_of(Flag, 2, 3), "rotate": Flag}
_OBJECTS: dict[str, Kind] = {"connectivity": _Connectivity, "minimum_size": Count}
_BY_HEADS = _OBJECTS | {"majority": integers(0) | odd(), "fill_holes": Flag}
_IOU: dict[str, Kind] = {"iou": Share | list_of(Share, 1)}

KEYS: dict[str, dict[str, Kind]] = {
    "segbench.losses.boundary.Boundary": {"include_background": Flag, "ignore_index": _Ignore},
    "segbench.losses.cross_entropy.BinaryCrossEntropy": {"ignore_index": _Ignore},
    "segbench.losses.cross_entropy.CrossEntropy": {"ignore_index": _Ignore},
    "segbench.losses.cross_entropy.WeightedCrossEntropy": {
        "balance": Literal["inverse", "median"],
        "class_frequencies": list_of(Share) | None,
        "class_frequencies_where_present": list_of(Share) | None,
        "ignore_index": _Ignore,
    },
    "segbench.losses.from_monai.FromMonai": _MONAI,
    "segbench.losses.from_monai.PixelwiseFromMonai": {
        "loss": Node,
        "gamma": integers(0) | Annotated[float, Field(ge=1)],
        "alpha": Share | list_of(Least, 1) | None,
        "use_softmax": Flag,
        "to_onehot_y": Flag,
        "ignore_index": _Ignore,
    },
    "segbench.losses.from_smp.FromSmp": {"loss": Node, "ignore_index": _Ignore},
    "segbench.losses.overlap.FocalTversky": _SMOOTH | {"alpha": Least, "beta": Least, "gamma": Above},
    "segbench.losses.overlap.GeneralizedDice": _SMOOTH,
    "segbench.losses.overlap.LogDice": _SMOOTH | {"exponent": Above},
    "segbench.losses.overlap.LogOneMinusDice": _SMOOTH | {"floor": Above},
    "segbench.losses.regression.ValueLoss": {"distance": Literal["l1", "mse", "smooth_l1"]},
    "segbench.losses.weighted_sum.WeightedSum": {"terms": Nodes | None},
    "segbench.losses.weighted_sum.WeightedSum.terms.*": {"weight": Least, "loss": Node},
    "segbench.inference.Whole": _VIEWS,
    "segbench.inference.SlidingWindow": _VIEWS
    | {
        "window": Sizes | None,
        "overlap": BelowOne,
        "weighting": Literal["gaussian", "constant"],
        "batch_size": Positive,
    },
    "segbench.inference.OverlapTile": _VIEWS
    | {"window": Sizes | None, "step_multiple": Positive, "margin": Count | None, "batch_size": Positive},
    "segbench.inference.DensePatches": _VIEWS
    | {"window": Sizes | None, "stride": Positive | None, "spread": Positive | None, "batch_size": Positive},
    "segbench.decoders.argmax.Argmax": _OBJECTS,
    "segbench.decoders.cleaned.Cleaned": _OBJECTS | {"largest": Flag, "smallest": Count, "fill_holes": Flag},
    "segbench.decoders.watershed.Watershed": _OBJECTS | {"h": Above, "fill_holes": Flag},
    "segbench.decoders.fuse_contour.FuseContour": _BY_HEADS
    | {"head": Text, "threshold": Share, "smooth": Count, "grow": Count},
    "segbench.decoders.seeded.Seeded": _BY_HEADS
    | {
        "head": Text,
        "activation": Literal["none", "sigmoid", "softmax"],
        "h": Above | None,
        "seeds_above": Number | None,
        "seed_size": Count,
        "foreground": Number | None,
        "smooth": Least,
        "keep_unseeded": Flag,
        "classes": Positive | None,
        "heads": dict[str, Count | None],
    },
    "segbench.decoders.border_class.BorderClass": _BY_HEADS | {"head": Text, "seed_size": Count},
    "segbench.decoders.flows.Flows": _BY_HEADS | {"head": Text, "steps": Count, "reach": Above, "least": Least},
    "segbench.decoders.stars.Stars": _BY_HEADS
    | {"head": Text, "score_head": Text, "threshold": Number, "overlap": Share},
    "segbench.decoders.regions.Regions": _OBJECTS
    | {"classes": dict[str, list[Count]], "threshold": Share, "order": different(Count, 1, 255) | None},
    "segbench.decoders.crf.Crf": {
        "iterations": Count,
        "window": odd(),
        "appearance": Least,
        "theta_a": Above,
        "theta_b": Above,
        "smoothness": Least,
        "theta_g": Above,
        "normalize": Flag,
        "then": Node,
    },
    "metrics": {
        "choose_by": Text | list_of(Text),
        "classes": Nodes,
        "objects": Nodes,
        "probabilities": Nodes,
        "streaming": Node | None,
        "direction": dict[str, Literal["larger", "smaller"]],
        "references": different(Text),
        "empty_distance": Literal["diagonal"] | Least,
        "receptive_field": Flag,
    },
    "metrics.streaming": {"train": Nodes, "validation": Nodes},
    "segbench.metrics.overlap.pass_at": {"threshold": Share | list_of(Share, 1)},
    "segbench.metrics.surface.hd95": {"mode": Literal["max", "pooled"]},
    "segbench.metrics.surface.boundary_f1": {"tolerance": Least | list_of(Least, 1)},
    "segbench.metrics.surface.normalised_surface_dice": {
        "tolerance": Least | list_of(Least, 1),
        "unit": Literal["spacing", "pixels"],
    },
    "segbench.metrics.overlap.f_beta": {"beta": Above},
    "segbench.metrics.boundary_region.boundary_iou": {"width": Annotated[float, Field(gt=0, le=1)]},
    "segbench.metrics.detection.centroid_f1": {"radius": Above},
    "segbench.metrics.detection.centroid_precision": {"radius": Above},
    "segbench.metrics.detection.centroid_recall": {"radius": Above},
    "segbench.metrics.detection.matched_distance": {"metric": Node, "iou": Share},
    "segbench.metrics.detection.recall_of_size": {"iou": Share, "smallest": Least, "largest": Above | None},
    "segbench.metrics.objects.object_f1": _IOU,
    "segbench.metrics.objects.object_precision": _IOU,
    "segbench.metrics.objects.object_recall": _IOU,
}
