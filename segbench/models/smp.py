"""Decoders of segmentation-models-pytorch, each on the encoders that it takes (2D only)."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import segmentation_models_pytorch as smp
import timm
import torch
from segmentation_models_pytorch.base import SegmentationModel
from torch import Tensor, nn
from torch.nn import functional as F

from segbench.errors import UserError, as_line
from segbench.models.blocks import match_size, padded_size
from segbench.models.heads import Outputs, Share, apart, split_heads


class PooledBatchNorm2d(nn.BatchNorm2d):
    """Batch norm that also takes a single value per channel, which has no variance.

    That is what is left of a batch of one image after global pooling (DeepLabV3+). Such a value is
    normalised with the running statistics, in training too, instead of an error.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise `x` (B, C, H, W)."""
        if self.training and x.numel() == self.num_features:
            return F.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, training=False, eps=self.eps
            )
        return super().forward(x)

    @classmethod
    def convert(cls, net: nn.Module) -> None:
        """Put this layer in the place of every plain batch norm of `net`."""
        for parent in list(net.modules()):
            for name, child in parent.named_children():
                if type(child) is nn.BatchNorm2d:
                    layer = cls(child.num_features, child.eps, child.momentum)
                    layer.load_state_dict(child.state_dict())
                    setattr(parent, name, layer)


class SmpModel(nn.Module):
    """One network of the library with the interface of all models here.

    An image of any size is padded to the encoder's stride, and the logits cut back.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        heads: Mapping[str, int],
        *,
        net: Callable[..., Any],
        encoder: str,
        weights: str | None = None,
        stride: int | None = None,
        least: int = 64,
        share: Share = "all",
    ) -> None:
        """Build the network.

        Args:
            spatial_dims: 2; the library has no 3D networks.
            in_channels: channels of the image.
            heads: name -> channels of its logits.
            net: a model class of the library, with whatever further arguments are bound to it.
            encoder: name of the encoder; `tu-<name>` is timm's.
            weights: name of the encoder's pretrained weights, usually "imagenet"; None draws them.
            stride: images are padded to multiples of this many pixels; None: of the encoder's stride.
            least: and to at least so many pixels along each axis: encoders leave two of 64. (From two columns
                to one, oneDNN's bfloat16 convolutions of stride 2 can return NaN; seen with PyTorch 2.15.)
            share: "encoder" gives each head a decoder of its own; "all": they share all but the channels of the last
                convolution.

        Raises:
            UserError: where the data is 3D, the encoder or its weights are unknown, they do not fit
                the decoder, or the weights cannot be downloaded.
        """
        super().__init__()
        if spatial_dims != 2:
            raise UserError(
                f"segmentation-models-pytorch has 2D models only, but the data has {spatial_dims} spatial "
                "dimensions; model=unet takes both"
            )
        _check_encoder(encoder)
        try:
            make = partial(net, encoder_name=encoder, in_channels=in_channels)
            others = list(heads)[1:] if apart(share, heads) else []
            channels = sum(heads.values()) - sum(heads[head] for head in others)
            self.net = make(encoder_weights=weights, classes=channels)
            # The encoders that come with further decoders are let go.
            self.others = nn.ModuleDict(
                {head: _without_encoder(make(encoder_weights=None, classes=heads[head])) for head in others}
            )
        except OSError as error:
            raise UserError(
                f"model.weights={weights}: the weights of {encoder} could not be downloaded; run once with a "
                "connection, so that they are kept, or set model.weights=null"
            ) from error
        except KeyError as error:
            raise UserError(f"model.encoder={encoder} model.weights={weights}: {error.args[0]}") from error
        except (NotImplementedError, TypeError, ValueError) as error:  # as decoders and timm's encoders refuse
            raise UserError(
                f"model.encoder={encoder} model.weights={weights}: {as_line(error)}; the encoder that"
                " the model's file names fits: leave model.encoder out, or choose one of its kind"
            ) from error
        if self.others and type(self.net).forward is not SegmentationModel.forward:
            raise UserError(
                f"model.share=encoder: {type(self.net).__name__} takes several heads with model.share=all alone"
            )
        PooledBatchNorm2d.convert(self)
        self.heads = dict(heads)
        self.stride = self.net.encoder.output_stride if stride is None else stride
        self.least = least
        freeze_unused(self, in_channels)

    def forward(self, image: Tensor) -> Outputs:
        """Logits (B, K, H, W) of every head, for `image` (B, C, H, W) of any size."""
        size = image.shape[2:]
        padded = match_size(image, padded_size([max(n, self.least) for n in size], self.stride), "pad")
        if not self.others:
            return {**split_heads(match_size(self.net(padded), size, "crop"), self.heads)}
        features = self.net.encoder(padded)
        first = next(head for head in self.heads if head not in self.others)
        nets = {first: self.net, **self.others}
        return {
            head: match_size(net.segmentation_head(net.decoder(features)), size, "crop") for head, net in nets.items()
        }


def _without_encoder(net: nn.Module) -> nn.Module:
    del net.encoder
    return net


def freeze_unused(net: nn.Module, in_channels: int) -> None:
    """Turn off the gradients of all parameters that the output does not depend on.

    The library builds encoders whole, also where the decoder stops half-way (PSPNet), and keeps the last layers
    of some classifiers. Such weights are no part of the network: trained in several processes, they would be
    waited for, and they do not count as its trainable parameters.
    """
    mode = net.training
    net.eval()  # no statistics are moved, nothing is drawn
    with torch.enable_grad():
        outputs = net(torch.zeros(1, in_channels, 1, 1))
        sum(logits.sum() for logits in outputs.values()).backward()
    for parameter in net.parameters():
        parameter.requires_grad_(parameter.grad is not None)
        parameter.grad = None
    net.train(mode)


def _check_encoder(name: str) -> None:
    known = [*smp.encoders.get_encoder_names(), *(f"tu-{model}" for model in timm.list_models())]
    # timm writes the weights behind a dot: tu-resnet18.a1_in1k
    if name.split(".")[0] not in known:
        nearest = difflib.get_close_matches(name, known, n=3)
        hint = f"did you mean {' or '.join(nearest)}?" if nearest else "resnet34 is one"
        raise UserError(f"model.encoder={name} is not an encoder of segmentation-models-pytorch; {hint}")
