"""3D U-Nets, V-Net and VoxResNet against what their papers print."""

import pytest
import torch
from torch import nn

from segbench.errors import UserError
from segbench.models.unet3d import UNet3D
from segbench.models.vnet import VNet
from segbench.models.voxresnet import VoxResNet


def count(net, *kinds):
    kinds = kinds or (nn.Module,)
    layers = [layer for layer in net.modules() if isinstance(layer, kinds)]
    return sum(one.numel() for layer in layers for one in layer.parameters(recurse=False))


def meta(build, *arguments, **options):
    with torch.device("meta"):
        return build(*arguments, **options)


CONVS = (nn.Conv3d, nn.ConvTranspose3d)


def test_unet_of_cicek_has_the_parameters_of_the_paper():
    net = meta(UNet3D, 3, 3, {"mask": 3})
    assert count(net, *CONVS) == 19_069_955  # the paper counts no norms
    assert count(net) == 19_069_955 + 2 * (32 + 64 + 64 + 128 + 128 + 256 + 256 + 512 + 2 * (256 + 128 + 64))


def test_unet_of_cicek_has_the_sizes_of_the_paper():
    net = meta(UNet3D, 3, 3, {"mask": 3})
    with torch.no_grad():
        logits = net(torch.zeros(1, 3, 132, 132, 116, device="meta"))["mask"]
    assert logits.shape == (1, 3, 44, 44, 28)
    with pytest.raises(UserError, match=r"data\.patch_size=\[64, 64, 64\]: without padding this network takes"):
        net.check_patch([64, 64, 64])


def test_auxiliary_heads_leave_the_main_one_as_it_is():
    """And with a weight of zero the gradients of the plain network."""
    levels = {"half_resolution": 1, "quarter_resolution": 2}
    settings = {"channels": [4, 8, 8, 8], "padding": "same", "auxiliary": levels}
    aux = UNet3D(2, 1, {"mask": 2, **dict.fromkeys(levels, 2)}, **settings)
    plain = UNet3D(2, 1, {"mask": 2}, **settings)
    plain.load_state_dict({key: value for key, value in aux.state_dict().items() if key in plain.state_dict()})
    image = torch.randn(2, 1, 24, 21, generator=torch.Generator().manual_seed(0))
    outputs, expected = aux(image), plain(image)["mask"]
    assert torch.equal(outputs["mask"], expected)
    assert {logits.shape for logits in outputs.values()} == {expected.shape}
    for head in levels:
        aux.zero_grad()
        outputs[head].square().mean().backward(retain_graph=True)
        assert all(one.grad is not None and one.grad.any() for stage in aux.encoder for one in stage.parameters()
                   if one.ndim > 1)  # fmt: skip


@pytest.mark.parametrize("auxiliary", [{"half_resolution": 0}, {"half_resolution": 3}])
def test_auxiliary_heads_are_at_resolutions_of_the_decoder(auxiliary):
    with pytest.raises(UserError, match=r"model\.auxiliary\.half_resolution=\d: must be from 1 to 2"):
        UNet3D(2, 1, {"mask": 2, "half_resolution": 2}, padding="same", auxiliary=auxiliary)
    with pytest.raises(UserError, match=r"needs model\.padding=same"):
        UNet3D(2, 1, {"mask": 2, "half_resolution": 2}, auxiliary={"half_resolution": 1})


RELEASE = {"convs": [1, 1, 2, 3, 3], "decoder_convs": [1, 1, 2, 3], "head": "release"}


def test_vnet_has_the_parameters_of_its_release_and_of_the_paper():
    release, paper = meta(VNet, 3, 1, {"mask": 2}, **RELEASE), meta(VNet, 3, 1, {"mask": 2})
    assert count(release, *CONVS) == 61_979_512
    assert count(release) == 61_982_682
    assert count(release, nn.PReLU) == 3_170
    assert len([layer for layer in release.modules() if isinstance(layer, nn.PReLU)]) == 26
    assert count(paper, *CONVS) == 65_171_858


def test_vnet_keeps_the_size():
    net = meta(VNet, 3, 1, {"mask": 2}, **RELEASE)
    with torch.no_grad():
        assert net(torch.zeros(1, 1, 32, 32, 16, device="meta"))["mask"].shape == (1, 2, 32, 32, 16)


def test_a_stage_of_vnet_that_adds_nothing_is_the_identity():
    net = VNet(2, 1, {"mask": 2}, channels=[4, 8], convs=[1, 2], decoder_convs=[2])
    stage = net.encoder[0]
    for layer in stage.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
    x = torch.rand(1, 8, 6, 6)
    assert torch.equal(stage(x), x)


@pytest.mark.parametrize(("flat", "trunk"), [(False, 1_636_768), (True, 1_175_968)])
def test_voxresnet_has_the_parameters_of_the_transcriptions(flat, trunk):
    net = meta(VoxResNet, 3, 3, {"mask": 4}, flat=flat)
    assert count(net) - count(net.classifiers) == trunk
    assert count(net.classifiers) == 153_056


def test_a_module_of_voxresnet_whose_second_convolution_is_zero_is_the_identity():
    net = VoxResNet(2, 1, {"mask": 2}, channels=[4, 8]).eval()
    module = net.parts[1][1]
    nn.init.zeros_(module.inner[1][2].weight)
    x = torch.randn(1, 8, 6, 6)
    assert torch.equal(module(x), x)


def test_the_scores_of_voxresnet_are_the_sum_of_its_classifiers():
    names = [f"level_{level}" for level in range(4)]
    net = VoxResNet(2, 1, {"mask": 2, **dict.fromkeys(names, 2)}, channels=[4, 8],
                    auxiliary={name: level for level, name in enumerate(names)}).eval()  # fmt: skip
    outputs = net(torch.randn(2, 1, 16, 11))
    torch.testing.assert_close(outputs["mask"], sum(outputs[name] for name in names))


def test_thick_slices_of_voxresnet_are_not_halved():
    net = VoxResNet(3, 2, {"mask": 2}, channels=[4, 8], stride=[1, 2, 2])
    assert net.divisor == (1, 8, 8)
    assert net(torch.randn(1, 2, 3, 9, 8))["mask"].shape == (1, 2, 3, 9, 8)
