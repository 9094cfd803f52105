"""FCN-32s, 16s and 8s against the paper's counts, sizes and crops, and the geometry of its layers."""

from itertools import pairwise

import pytest
import timm
import torch
from torch import nn
from torch.nn import functional as F

from segbench.errors import UserError
from segbench.metrics.cost import receptive_field
from segbench.models.fcn import FCN, Enlarge
from tests.models import fake_vgg

FUSED = {"32s": {}, "16s": {"pool4": 1.0}, "8s": {"pool4": 1.0, "pool3": 1.0}}
every_stride = pytest.mark.parametrize("fuse", FUSED.values(), ids=FUSED)


def draw(*size, seed=0):
    return torch.randn(size, generator=torch.Generator().manual_seed(seed))


def parameters(net):
    return sum(parameter.numel() for parameter in net.parameters())


def small(fuse, **options):
    torch.manual_seed(0)
    options = {"width": 1 / 16, "zero_scores": False} | options
    return FCN(2, 3, {"mask": 2}, fuse=fuse, **options).eval()


@pytest.mark.parametrize(
    ("name", "classes", "count"),
    [
        ("32s", 21, 134_346_581),
        ("16s", 21, 134_357_354),
        ("8s", 21, 134_362_751),
        ("32s", 2, 134_268_738),
        ("16s", 2, 134_269_764),
        ("8s", 2, 134_270_278),
    ],
)
def test_number_of_parameters(name, classes, count):
    kernels = {"32s": [64], "16s": [4, 32], "8s": [4, 4, 16]}[name]
    with torch.device("meta"):
        frozen = FCN(2, 3, {"mask": classes}, fuse=FUSED[name], upsampling="frozen", pad=100)
        learned = FCN(2, 3, {"mask": classes}, fuse=FUSED[name])
    assert parameters(frozen) == count
    assert parameters(learned) == count + classes * sum(kernel**2 for kernel in kernels)


# Sizes and places


def test_sizes_of_the_paper():
    net, sizes = small(FUSED["32s"], pad=100, width=1 / 64), {}
    layers = {"pool5": net.stages[4], "fc6": net.fc6, "upscore": net.enlarge["fc7"]}
    for name, layer in layers.items():
        layer.register_forward_hook(lambda _, __, output, name=name: sizes.update({name: tuple(output.shape[2:])}))
    net.pool.register_forward_hook(lambda _, __, output: sizes.update(pool5=tuple(output.shape[2:])))
    with torch.inference_mode():
        assert net(draw(1, 3, 500, 500))["mask"].shape == (1, 2, 500, 500)
    assert sizes == {"pool5": (22, 22), "fc6": (16, 16), "upscore": (544, 544)}


@pytest.mark.parametrize(("name", "starts"), [("32s", [19]), ("16s", [-5, 27]), ("8s", [-5, -9, 31])])
def test_crops_of_the_authors(name, starts):
    """Those of their release, as recalled and not verified: scores of finer pools are cut, and the last."""
    assert small(FUSED[name], pad=100).starts == starts


@every_stride
@pytest.mark.parametrize(("pad", "size"), [(1, 64), (1, 96), (100, 58), (100, 90)])
@pytest.mark.parametrize("upsampling", ["learned", "frozen", "interpolate"])
def test_scores_lie_where_the_image_is(fuse, pad, size, upsampling):
    """With symmetric kernels a mirrored image has mirrored logits, where strides divide the padded image."""
    net = small(fuse, pad=pad, upsampling=upsampling).double()
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            layer.weight.data = layer.weight + layer.weight.flip(3)
    image = draw(1, 3, size, size).double()
    with torch.inference_mode():
        logits, mirrored = net(image)["mask"], net(image.flip(3))["mask"]
    assert logits.std() > 0
    torch.testing.assert_close(mirrored, logits.flip(3))


def test_receptive_field():
    net = small({}, width=1 / 64)
    trunk = nn.Sequential(*(layer for stage in net.stages for layer in (stage, net.pool)))
    assert receptive_field(trunk, (3, 448, 448)) == (212, 212)
    assert receptive_field(nn.Sequential(trunk, net.fc6), (3, 832, 832)) == (404, 404)


# Learned enlargement


@pytest.mark.parametrize("factor", [2, 8, 16, 32])
def test_enlargement_begins_as_bilinear_interpolation(factor):
    x = draw(2, 3, 5, 6)
    plain = F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)
    inner = (..., slice(factor, -factor), slice(factor, -factor))
    for how in ("learned", "frozen", "interpolate"):
        enlarged = Enlarge(3, factor, how)(x)
        assert enlarged.shape == (2, 3, factor * 6, factor * 7)
        torch.testing.assert_close(enlarged[inner], plain[(..., *[slice(factor // 2, -(factor // 2))] * 2)])


@pytest.mark.parametrize("how", ["learned", "frozen", "interpolate"])
def test_a_constant_map_stays_constant_but_at_the_border(how):
    enlarged = Enlarge(2, 4, how)(torch.full((1, 2, 5, 5), 3.0))
    torch.testing.assert_close(enlarged[..., 4:-4, 4:-4], torch.full((1, 2, 16, 16), 3.0))


def test_only_learned_kernels_are_learned():
    for how, learned in {"learned": True, "frozen": False, "interpolate": False}.items():
        names = {name for name, _ in small(FUSED["8s"], upsampling=how).named_parameters()}
        assert ("enlarge.pool3.weight" in names) is learned
    frozen = small(FUSED["8s"], upsampling="frozen")
    assert "enlarge.pool3.weight" in frozen.state_dict()
    frozen.load_state_dict(small(FUSED["8s"], upsampling="learned").state_dict())


# Stages of training


def test_scores_are_zero_at_first():
    assert not small(FUSED["8s"], zero_scores=True)(draw(1, 3, 40, 40))["mask"].any()


@pytest.mark.parametrize(("coarse", "fine"), pairwise(FUSED), ids=["16s", "8s"])
def test_a_finer_network_begins_almost_as_the_coarser_one(coarse, fine):
    """Bilinear enlargement in two steps is nearly that in one; away from the border, which is seen differently."""
    first, second = small(FUSED[coarse]), small(FUSED[fine], zero_scores=True)
    weights, own = first.state_dict(), second.state_dict()
    shared = {name: value for name, value in weights.items() if name in own and own[name].shape == value.shape}
    assert set(own) - set(shared) == {
        name for name in own if name.startswith(("enlarge", f"scores.{list(FUSED[fine])[-1]}")) and name not in shared
    }
    second.load_state_dict(shared, strict=False)
    with torch.inference_mode():
        before, after = (net(draw(1, 3, 160, 160))["mask"][..., 32:-32, 32:-32] for net in (first, second))
    assert 0 < (after - before).std() < 0.1 * before.std()


def test_factors_of_training_at_once_stand_in_front_of_the_score_layers():
    net, scaled = small(FUSED["8s"]), small({"pool4": 0.01, "pool3": 0.0001})
    for name, factor in {"pool4": 0.01, "pool3": 0.0001}.items():
        net.scores[name].weight.data *= factor
    image = draw(1, 3, 64, 48)
    assert not torch.allclose(small(FUSED["8s"])(image)["mask"], scaled(image)["mask"], rtol=1e-3)
    torch.testing.assert_close(net(image)["mask"], scaled(image)["mask"])


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_trained_weights_are_taken_over(norm, monkeypatch):
    monkeypatch.setattr(timm, "create_model", fake_vgg.create_model)
    net = small(FUSED["8s"], width=fake_vgg.WIDTH, norm=norm, weights="imagenet")
    trained = fake_vgg.create_model("vgg16" if norm == "none" else "vgg16_bn", pretrained=True, in_chans=3)
    x = draw(2, 3, 224, 224)
    with torch.inference_mode():
        expected = trained.features(x)
        for stage in net.stages:
            x = net.pool(stage(x))
        assert x.std() > 0
        assert torch.equal(x, expected)
        # fc6 is padded here: its central pixel has all 7x7 of them.
        connected = net.fc7(net.fc6(x))[..., 3:4, 3:4]
        torch.testing.assert_close(connected, trained.pre_logits(expected))


# Errors


@pytest.mark.parametrize(
    ("dims", "options", "message"),
    [
        (3, {}, "FCN is 2D only, but the data has 3 spatial dimensions; model=unet"),
        (2, {"fuse": {"pool3": 1.0}}, "model.fuse names pool3: must be none, or the first of pool4, pool3, pool2"),
        (2, {"pad": 50}, "model.pad=50 must be 100 as in the paper (97 at least: fc6 needs 7 pixels), or 1"),
        (2, {"upsampling": "bilinear"}, "model.upsampling=bilinear is not one of learned, frozen, interpolate"),
        (2, {"norm": "btach"}, "model.norm=btach is not one of batch"),
        (2, {"width": -1}, "model.width=-1 must be above 0"),
    ],
)
def test_errors_name_the_key(dims, options, message):
    with torch.device("meta"), pytest.raises(UserError) as error:
        FCN(dims, 1, {"mask": 2}, **{"fuse": {}} | options)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_trained_weights_need_the_width_they_have(monkeypatch):
    monkeypatch.setattr(timm, "create_model", fake_vgg.create_model)
    with pytest.raises(UserError, match=r"model\.weights: .* they need VGG16's channels: model\.width=1"):
        small({}, width=1 / 8, weights="imagenet")


def test_smallest_pad():
    assert small({}, pad=97)(draw(1, 3, 1, 1))["mask"].shape == (1, 2, 1, 1)
