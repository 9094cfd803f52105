"""Keys of the networks and of the models without gradients."""

from typing import Literal

from segbench.config.keys.kinds import (
    Above,
    BelowOne,
    Channels,
    Count,
    Counts,
    Dimensions,
    Flag,
    Kind,
    Least,
    Node,
    Number,
    Positive,
    PositiveShare,
    Seed,
    Share,
    Text,
    different,
    integers,
    least_integer,
    list_of,
    odd,
)

_Norm = Literal["batch", "instance", "group", "layer", "none"]
_Act = Literal["relu", "leaky_relu", "elu", "prelu", "tanh", "sigmoid", "maxout"]
_Init = Literal["he_normal", "xavier", "pytorch"]
_Share = Literal["encoder", "all"]
_Imagenet = Literal["imagenet"] | None

_MODEL: dict[str, Kind] = {
    "spatial_dims": Dimensions | None,
    "in_channels": Positive | None,
    "heads": dict[str, Count | None],
}
"""Arguments of every model, filled in from the data set and the task."""
_LAYERS: dict[str, Kind] = {"norm": _Norm, "groups": Positive, "act": _Act, "slope": Number}
_VGG = _MODEL | _LAYERS | {"width": Above, "weights": _Imagenet, "init": _Init}
_REGIONS = _MODEL | {
    "channel": Literal["mean", "pca", "best"] | Count,
    "rank": Literal["brightness", "area", "best"],
    "assign": Literal["vote", "dice"],
}
_SEEDED = _REGIONS | {
    "regions": least_integer(2) | None,
    "seeds": Literal["core", "peak", "sure"],
    "depth": Above,
    "share": PositiveShare,
    "connectivity": integers(1, 2, 3),
}

KEYS: dict[str, dict[str, Kind]] = {
    "segbench.models.unet.UNet": _MODEL
    | _LAYERS
    | {
        "channels": Channels,
        "convs": Positive | Counts,
        "bias": Flag | Literal["auto"],
        "down": Literal["max_pool", "avg_pool", "strided_conv"],
        "up": Literal["transposed", "transposed_3", "nearest", "linear", "pixel_shuffle"],
        "up_conv": Flag,
        "padding": Literal["same", "valid"],
        "dropout": BelowOne,
        "dropout_between": BelowOne,
        "deep_supervision": Flag,
        "one_logit": Flag,
        "share": _Share,
        "init": _Init,
    },
    "segbench.models.nnunet.NnUNet": _MODEL
    | _LAYERS
    | {
        "channels": Channels | None,
        "strides": list_of(Counts) | None,
        "kernels": list_of(Counts) | None,
        "convs": Positive | Counts | None,
        "decoder_convs": Positive | Counts | None,
        "encoder": Literal["plain", "residual"],
        "bias": Flag,
        "up_bias": Flag,
        "deep_supervision": Flag,
        "init": _Init,
    },
    "segbench.models.segnet.SegNet": _VGG
    | {
        "channels": Channels,
        "convs": Counts,
        "decoder_convs": Counts,
        "kernel": odd(),
        "head_kernel": odd(),
        "decoder_norm": Flag,
        "decoder_act": Flag,
        "decoder_bias": Flag,
    },
    "segbench.models.fcn.FCN": _VGG
    | {
        "fuse": dict[str, Number],
        "pad": integers(1) | least_integer(97),
        "upsampling": Literal["learned", "frozen", "interpolate"],
        "dropout": BelowOne,
        "zero_scores": Flag,
    },
    "segbench.models.deconvnet.DeconvNet": _VGG | {"fc6_padding": integers(0, 3)},
    "segbench.models.context.ContextNet": _MODEL
    | _LAYERS
    | {
        "zooms": different(Positive, 1),
        "view": least_integer(8),
        "shared": Flag,
        "fusion": Literal["none", "channels", "concatenate", "lstm"],
        "width": Positive,
        "features": Positive,
        "dropout": BelowOne,
    },
    "segbench.models.lenet.LeNet": _MODEL,
    "segbench.models.mlp.MLP": _MODEL | {"view": Positive, "hidden": Counts, "act": _Act, "slope": Number},
    "segbench.models.sliding_window_cnn.SlidingWindowCNN": _MODEL
    | {
        "channels": Channels,
        "kernels": Counts,
        "rest": Positive,
        "hidden": Positive,
        "act": _Act,
        "slope": Number,
        "init": _Init,
    },
    "segbench.models.classifier.PatchClassifier": _MODEL | {"view": Positive, "net": Node},
    "segbench.models.external.External": _MODEL
    | {
        "net": Node,
        "input_channels": Positive | None,
        "divisible_by": Positive,
        "upsample": Flag | None,
        "returns": Literal["logits", "probabilities"],
    },
    "segbench.models.smp.SmpModel": _MODEL
    | {
        "encoder": Text,
        "weights": Text | None,
        "stride": Positive | None,
        "least": Positive,
        "share": _Share,
        "net": Node,
    },
    "segbench.models.unet3d.UNet3D": _MODEL
    | _LAYERS
    | {
        "channels": Channels,
        "padding": Literal["same", "valid"],
        "auxiliary": dict[str, Positive] | None,
        "init": _Init,
    },
    "segbench.models.vnet.VNet": _MODEL
    | _LAYERS
    | {
        "channels": Channels,
        "convs": Counts,
        "decoder_convs": Counts,
        "kernel": odd(),
        "head": Literal["paper", "release"],
        "init": _Init,
    },
    "segbench.models.voxresnet.VoxResNet": _MODEL
    | {
        "channels": list_of(Positive, 2, 2),
        "stride": Positive | Counts,
        "flat": Flag,
        "classifier": Positive | None,
        "auxiliary": dict[str, Count] | None,
        "norm": _Norm,
        "groups": Positive,
        "init": _Init,
    },
    "segbench.models.cascade.Cascade": _MODEL
    | {
        "net": Node,
        "stages": list_of(list_of(Text), 1),
        "says": Literal["values", "probabilities", "foreground"],
        "sees_image": Flag,
        "before": Number | None,
        "means": dict[str, list[Text]],
        "apart": list[Text],
    },
    "segbench.models.dcan.DCAN": _MODEL
    | {
        "channels": Channels,
        "convs": Counts,
        "enlarging": Literal["transposed", "linear"],
        "auxiliary": dict[str, list[Text]] | None,
        "dropout": BelowOne,
        "norm": _Norm,
        "groups": Positive,
        "init": _Init,
    },
    "segbench.models.segnetmri.SegNetMRI": _MODEL
    | {
        "net": Node,
        "blocks": Positive,
        "restored": Text,
        "auxiliary": dict[str, list[Text]] | None,
        "share": PositiveShare,
        "centre": Share,
        "seed": Seed,
        "noise": Least,
    },
    "segbench.models.y_autoencoder.YAutoencoder": _MODEL | {"activity": Text, "width": Above},
    "segbench.models.care.Care": _MODEL
    | {"depth": Count, "width": Positive, "kernel": odd(), "residual": list[Text], "init": _Init},
    "segbench.models.care.Projected": _MODEL
    | {
        "depth": Count,
        "width": Positive,
        "net_depth": Count,
        "net_width": Positive,
        "net_kernel": odd(),
        "residual": list[Text],
        "init": _Init,
    },
    "segbench.models.deepresolve.DeepResolve": _MODEL
    | {"layers": least_integer(2), "width": Positive, "residual": list[Text], "init": _Init},
    "segbench.models.monai.MonaiModel": _MODEL
    | {
        "channels": Channels | None,
        "divisible_by": Positive | None,
        "norm": _Norm | None,
        "groups": Positive,
        "act": Literal["relu", "leaky_relu", "elu", "prelu", "tanh", "sigmoid"] | None,
        "slope": Number,
        "net": Node,
    },
    "segbench.models.monai.NestedUNet": {"dropout": BelowOne, "upsample": Literal["deconv", "nontrainable"]},
    "segbench.models.monai.attention_unet": {"dropout": BelowOne},
    "segbench.models.monai.residual_unet": {"dropout": BelowOne, "num_res_units": Count},
    "segbench.models.monai.segresnet": {"down": Counts, "up": Positive},
    "segbench.models.monai.dynunet": {"res_block": Flag},
    "segbench.models.monai.swin_unetr": {
        "features": Positive,
        "depths": list_of(Positive, 4, 4),
        "num_heads": list_of(Positive, 4, 4),
        "window_size": Positive,
        "use_v2": Flag,
    },
    "segbench.models.monai.Unetr": {
        "size": Counts | None,
        "features": Positive,
        "hidden_size": Positive,
        "mlp_dim": Positive,
        "num_heads": Positive,
    },
    "segbench.models.monai.mednext": {
        "features": Positive,
        "kernel": odd(3),
        "blocks": list_of(Positive, 5, 5),
        "ratios": list_of(Positive, 5, 5),
        "use_residual_connection": Flag,
    },
    "segmentation_models_pytorch.DPT": {"dynamic_img_size": Flag},
    "segbench.models.thresholds.Otsu": _REGIONS | {"regions": least_integer(2) | None, "bins": least_integer(2)},
    "segbench.models.thresholds.AdaptiveThreshold": _REGIONS
    | {
        "method": Literal["mean", "gaussian", "niblack", "sauvola"],
        "window": odd(3),
        "offset": Least,
        "k": Least,
    },
    "segbench.models.region_growing.RegionGrowing": _SEEDED | {"tolerance": Least},
    "segbench.models.region_growing.Watershed": _SEEDED | {"sigma": Least},
    "segbench.models.kmeans.KMeans": _MODEL
    | {
        "clusters": least_integer(2),
        "per_image": Flag,
        "place": Least,
        "pixels": Positive,
        "starts": Positive,
        "assign": Literal["vote", "dice"],
    },
    "segbench.models.forest.RandomForest": _MODEL
    | {
        "trees": Positive,
        "depth": Positive | None,
        "leaf": Positive,
        "sigmas": list_of(Above, 1),
        "pixels": Positive,
        "balanced": Flag,
    },
}
