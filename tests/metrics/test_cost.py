import itertools
import time

import numpy as np
import pytest
import torch
from torch import nn

from segbench.metrics import cost

CPU = torch.device("cpu")


def convolutions(*layers: tuple[int, int], pool: type[nn.Module] = nn.MaxPool2d) -> nn.Sequential:
    """Plain 2D network of (kernel, stride) layers; a stride of more than 1 is a pooling."""
    parts: list[nn.Module] = []
    for kernel, stride in layers:
        if stride == 1:
            parts += [nn.Conv2d(3, 3, kernel, padding=kernel // 2), nn.BatchNorm2d(3), nn.ReLU()]
        else:
            parts.append(pool(kernel, stride))
    return nn.Sequential(*parts)


def theory(*layers: tuple[int, int]) -> int:
    """Araujo et al. 2019: the field grows by (kernel - 1) times the product of the strides so far."""
    field, jump = 1, 1
    for kernel, stride in layers:
        field += (kernel - 1) * jump
        jump *= stride
    return field


class Heads(nn.Module):
    """As the models of segbench: a dictionary of heads, the mask at several scales."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, image):
        mask = self.net(image)
        return {"distance": image, "mask": [mask, mask[..., ::2, ::2]]}


def snapshot(module):
    return (
        {name: value.clone() for name, value in module.state_dict().items()},
        [part.training for part in module.modules()],
        [parameter.grad for parameter in module.parameters()],
        [len(part._forward_hooks) for part in module.modules()],
    )


def assert_unchanged(module, before):
    after = snapshot(module)
    torch.testing.assert_close(after[0], before[0], rtol=0, atol=0)
    assert after[1] == before[1]
    assert all(one is other for one, other in zip(after[2], before[2], strict=True))
    assert after[3] == before[3]


@pytest.mark.parametrize(
    "layers",
    [
        [(3, 1)],
        [(3, 1)] * 5,
        [(1, 1), (7, 1), (5, 1)],
        [(3, 1), (3, 1), (2, 2), (3, 1), (3, 1), (2, 2), (3, 1)],
        [(3, 1), (3, 2), (3, 1), (3, 2), (5, 1)],
    ],
)
@pytest.mark.parametrize("pool", [nn.MaxPool2d, nn.AvgPool2d])
def test_receptive_field_follows_theory(layers, pool):
    net = convolutions(*layers, pool=pool)
    assert cost.receptive_field(net, (3, 80, 80)) == (theory(*layers),) * 2


class UNet(nn.Module):
    """Ronneberger et al. 2015, padded, four levels deep; narrow, as width does not matter here."""

    def __init__(self, activation):
        super().__init__()
        widths = [2, 2, 4, 4, 8]
        self.down = nn.ModuleList(
            self.block(inner, outer, activation) for inner, outer in zip([1, *widths], widths, strict=False)
        )
        self.up = nn.ModuleList(nn.ConvTranspose2d(outer, inner, 2, 2) for inner, outer in itertools.pairwise(widths))
        self.merge = nn.ModuleList(self.block(2 * width, width, activation) for width in widths[:-1])

    def block(self, inner, outer, activation):
        first, second = nn.Conv2d(inner, outer, 3, padding=1), nn.Conv2d(outer, outer, 3, padding=1)
        return nn.Sequential(first, activation(), second, activation())

    def forward(self, image):
        skips = [self.down[0](image)]
        for block in self.down[1:]:
            skips.append(block(nn.functional.max_pool2d(skips[-1], 2)))
        merged = skips.pop()
        for up, merge in reversed(list(zip(self.up, self.merge, strict=True))):
            merged = merge(torch.cat([skips.pop(), up(merged)], dim=1))
        return merged


@pytest.mark.parametrize("activation", [nn.ReLU, nn.PReLU, nn.ELU, nn.Tanh, nn.Sigmoid])
def test_receptive_field_of_the_unet(activation):
    """Its published field: 188 pixels for a pixel whose index is a multiple of 16."""
    assert cost.receptive_field(UNet(activation), (1, 224, 224)) == (188, 188)


def test_receptive_field_by_axis_and_in_a_volume():
    net = nn.Sequential(nn.Conv3d(1, 4, (1, 3, 5)), nn.Tanh(), nn.Conv3d(4, 2, (3, 3, 1), dilation=(1, 4, 1)))
    assert cost.receptive_field(net, (1, 9, 21, 9)) == (3, 11, 5)


def test_receptive_field_with_what_would_hide_it():
    """Dead ReLUs, negative weights, norm statistics far off: the field is that of the architecture."""
    net = convolutions((3, 1), (3, 1), (3, 1))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.fill_(-1)
    net[1].running_mean.fill_(1e3)
    assert cost.receptive_field(net, (3, 20, 20)) == (7, 7)


def test_receptive_field_of_a_norm_over_the_image_is_the_image():
    net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.InstanceNorm2d(4), nn.ReLU(), nn.Conv2d(4, 1, 3, padding=1))
    assert cost.receptive_field(net, (1, 12, 15)) == (12, 15)


def test_receptive_field_of_a_head():
    net = Heads(convolutions((3, 1), (3, 1)))
    assert cost.receptive_field(net, (3, 16, 16)) == (5, 5)
    assert cost.receptive_field(net, (3, 16, 16), head="distance") == (1, 1)


def test_receptive_field_of_what_returns_no_tensor():
    class Nothing(nn.Module):
        def forward(self, image):
            return None

    with pytest.raises(TypeError, match="NoneType"):
        cost.receptive_field(Nothing(), (1, 8, 8))


@pytest.mark.parametrize(
    "measure",
    [
        lambda net: cost.receptive_field(net, (3, 12, 12)),
        lambda net: cost.flops(net, torch.zeros(1, 3, 12, 12)),
    ],
)
def test_measuring_leaves_the_network_as_it_was(measure):
    net = Heads(convolutions((3, 1), (3, 1))).train()
    net.net[1].eval()
    net.net[0].register_forward_hook(lambda *_: None)
    net(torch.rand(2, 3, 12, 12))["mask"][0].sum().backward()
    before = snapshot(net)
    measure(net)
    assert_unchanged(net, before)


def test_modes_come_back_after_an_error():
    net = convolutions((3, 1)).train()
    with pytest.raises(RuntimeError):
        cost.flops(net, torch.zeros(1, 7, 8, 8))
    assert all(part.training for part in net.modules())


def test_parameters_are_the_trainable_ones():
    net = convolutions((3, 1))
    assert cost.parameters(net) == (3 * 3 * 9 + 3) + 2 * 3
    net[0].requires_grad_(False)
    assert cost.parameters(net) == 2 * 3


def test_flops_of_one_convolution():
    net = Heads(nn.Conv2d(3, 8, 5, padding=2))
    assert cost.flops(net, torch.zeros(2, 3, 10, 12)) == 2 * (3 * 8 * 25) * (2 * 10 * 12)


def test_seconds_are_the_median_after_the_warm_up():
    waits = iter([0.2, 0.0, 0.0, 0.01, 0.02, 0.5, 0.02, 0.01])
    assert 0.015 < cost.seconds_per_call(lambda: time.sleep(next(waits)), CPU) < 0.1
    assert next(waits, None) is None


def test_peak_memory_of_the_process():
    could_reset = cost.reset_peak_memory(CPU)
    before = cost.peak_memory(CPU)
    held = np.ones(200 * 2**20, dtype=np.uint8)
    del held
    after = cost.peak_memory(CPU)
    assert after >= before > 2**20
    if could_reset:
        assert after - before > 150 * 2**20
        assert cost.reset_peak_memory(CPU)
        assert cost.peak_memory(CPU) < after - 150 * 2**20


@pytest.mark.gpu
def test_peak_memory_of_the_device():
    device = torch.device("cuda")
    cost.reset_peak_memory(device)
    before = cost.peak_memory(device)
    held = torch.zeros(64 * 2**20, dtype=torch.uint8, device=device)
    del held
    assert cost.peak_memory(device) - before == 64 * 2**20
