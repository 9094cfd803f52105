"""A VGG16 with a sixteenth of the channels, built as timm does, in the place of the one with trained weights."""

import timm.models.vgg
import torch
from torch import nn

WIDTH = 1 / 16
LAYERS = [4, 4, "M", 8, 8, "M", 16, 16, 16, "M", 32, 32, 32, "M", 32, 32, 32, "M"]


class Narrow(timm.models.vgg.VGG):
    """Seed 5 draws its weights, and the statistics of its batch norms."""

    def __init__(self, in_chans: int, norm: type[nn.Module] | None) -> None:
        torch.manual_seed(5)
        with torch.device("meta"):  # its fully connected layers have no width that could be set
            super().__init__(LAYERS, in_chans=in_chans, norm_layer=norm)
        self.features = self.features.to_empty(device="cpu")
        self.pre_logits = timm.models.vgg.ConvMlp(32, 256, 7)
        for tensor in self.features.state_dict().values():
            if tensor.is_floating_point():
                tensor.uniform_(0.1, 0.3)
        for layer in self.features:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight)


def create_model(name: str, *, pretrained: bool, in_chans: int) -> Narrow:
    """What the code under test calls as `timm.create_model`."""
    assert pretrained
    return Narrow(in_chans, {"vgg16": None, "vgg16_bn": nn.BatchNorm2d}[name]).eval()
