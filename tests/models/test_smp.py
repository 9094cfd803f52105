"""The adapter of segmentation-models-pytorch: published counts, pretrained weights, errors."""

import huggingface_hub
import pytest
import segmentation_models_pytorch as smp
import torch
from omegaconf import OmegaConf
from torch import nn
from torch.nn import functional as F

from segbench.config import instantiation
from segbench.config.paths import conf_folder
from segbench.errors import UserError
from segbench.models.smp import PooledBatchNorm2d, SmpModel
from tests.made_runs import configure


def build(net=smp.Unet, encoder="resnet18", **settings):
    arguments = {"spatial_dims": 2, "in_channels": 3, "heads": {"mask": 1}} | settings
    return SmpModel(net=net, encoder=encoder, **arguments)


def draw(*size, seed=0):
    return torch.randn(size, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("encoder", "count"),
    [
        ("resnet18", 14_328_209),
        ("resnet34", 24_436_369),
        ("resnet50", 32_521_105),
        ("vgg16", 23_748_241),
        ("vgg16_bn", 23_756_689),
        ("efficientnet-b0", 6_251_469),
        ("efficientnet-b3", 13_159_033),
        ("mobilenet_v2", 6_628_945),
        ("densenet121", 13_607_633),
        ("se_resnet50", 35_052_097),
        ("resnext50_32x4d", 31_992_977),
        ("mit_b0", 5_549_489),
    ],
)
def test_number_of_parameters(encoder, count):
    with torch.device("cpu" if encoder == "mit_b0" else "meta"):  # on "meta" nothing is drawn and nothing computed
        assert sum(parameter.numel() for parameter in build(encoder=encoder).parameters()) == count


DECODERS = {path.stem: path for path in (conf_folder() / "model").glob("smp_*.yaml")}


def test_every_decoder_of_the_library_has_a_file():
    files = {OmegaConf.load(path).net._target_.rpartition(".")[2] for path in DECODERS.values()}
    assert files == {model.__name__ for model in smp.MODEL_ARCHITECTURES_MAPPING.values()}


@pytest.mark.parametrize("name", sorted(DECODERS))
def test_every_decoder_is_the_librarys_where_the_size_fits(name):
    config = configure(
        f"model={name}", "model.encoder=tu-vit_tiny_patch16_224" if "dpt" in name else "model.encoder=resnet18"
    )
    config.measured = {"spatial_dims": 2, "in_channels": 3, "classes": 3, "class_frequencies": [1 / 3] * 3}
    net, image = instantiation.build(config.model, "model").eval(), draw(1, 3, 128, 160)
    with torch.inference_mode():
        assert torch.equal(net(image)["mask"], net.net(image))


STUDY = OmegaConf.load(conf_folder() / "experiment" / "encoder_variants.yaml")


@pytest.mark.parametrize("encoder", STUDY.hydra.sweeper.params["model.encoder"].split(","))
def test_encoders_of_the_study_train_on_a_single_image_of_any_size(encoder):
    """What the contract of all models checks with a small encoder: gradients, sizes, channels, bfloat16."""
    torch.manual_seed(0)
    net = build(encoder=encoder, in_channels=5, heads={"mask": 4}).train()
    net(draw(1, 5, 33, 47))["mask"].square().mean().backward()
    trained = {key: parameter.grad for key, parameter in net.named_parameters() if parameter.requires_grad}
    assert all(gradient is not None and gradient.isfinite().all() for gradient in trained.values())
    weights = [gradient for key, gradient in trained.items() if key.endswith("weight")]
    assert sum(bool(gradient.any()) for gradient in weights) > 0.9 * len(weights)
    assert all(buffer.isfinite().all() for buffer in net.buffers())
    net.eval()
    image = draw(1, 5, 64, 64)
    with torch.inference_mode():
        logits = net(image)["mask"]
        assert logits.shape == (1, 4, 64, 64)
        assert net(draw(1, 5, 3, 5))["mask"].shape == (1, 4, 3, 5)
        half = net.bfloat16()(image.bfloat16())["mask"]
    torch.testing.assert_close(half.float(), logits, rtol=0.1, atol=0.1 * logits.abs().max().item())


# Parameters that the output does not depend on


@pytest.mark.parametrize(
    ("net", "encoder", "part"), [(smp.PSPNet, "resnet18", "layer4"), (smp.Unet, "efficientnet-b0", "_conv_head")]
)
def test_parameters_that_the_decoder_does_not_reach_are_not_trained(net, encoder, part):
    model = build(net, encoder)
    frozen = {key for key, parameter in model.named_parameters() if not parameter.requires_grad}
    assert any(part in key for key in frozen)
    before = model.eval()(draw(1, 3, 64, 64))["mask"].detach()
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if key in frozen:
                parameter.add_(1)
    assert torch.equal(model(draw(1, 3, 64, 64))["mask"], before)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_all_parameters_of_other_networks_are_trained():
    assert all(parameter.requires_grad for parameter in build(smp.FPN).parameters())


def test_number_of_parameters_of_other_channels():
    net = build(encoder="resnet34", in_channels=1, heads={"mask": 2})
    assert sum(parameter.numel() for parameter in net.parameters()) == 24_430_242


def test_is_the_librarys_network_where_the_size_fits():
    net, image = build(heads={"mask": 2, "contour": 1}).eval(), draw(1, 3, 64, 96)
    plain = smp.Unet("resnet18", encoder_weights=None, in_channels=3, classes=3).eval()
    plain.load_state_dict(net.net.state_dict())
    with torch.inference_mode():
        outputs = net(image)
        assert torch.equal(torch.cat([outputs["mask"], outputs["contour"]], dim=1), plain(image))


def test_arguments_of_the_library_can_be_bound():
    def shallow(**arguments):
        return smp.Unet(encoder_depth=3, decoder_channels=(64, 32, 16), **arguments)

    assert build(shallow).eval()(draw(1, 3, 9, 20))["mask"].shape == (1, 1, 9, 20)


def test_encoders_of_timm():
    assert build(encoder="tu-resnet10t").eval()(draw(1, 3, 33, 32))["mask"].shape == (1, 1, 33, 32)


# Batch norm of a single value


def test_batch_norm_is_torchs_but_for_single_values():
    ours, theirs = PooledBatchNorm2d(4), nn.BatchNorm2d(4)
    for size in [(2, 4, 1, 1), (1, 4, 3, 2)]:
        x = draw(*size)
        assert torch.equal(ours(x), theirs(x))
    assert all(torch.equal(ours.state_dict()[key], value) for key, value in theirs.state_dict().items())


def test_batch_norm_of_a_single_value_uses_and_keeps_the_running_statistics():
    norm = PooledBatchNorm2d(4)
    norm(draw(8, 4, 3, 3) * 2 + 1)
    mean, var = norm.running_mean.clone(), norm.running_var.clone()
    x = draw(1, 4, 1, 1, seed=1)
    torch.testing.assert_close(norm(x), F.batch_norm(x, mean, var))
    assert torch.equal(norm.running_mean, mean)
    assert torch.equal(norm.running_var, var)


def test_conversion_keeps_weights_and_statistics():
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Sequential(nn.BatchNorm2d(4, eps=1e-3, momentum=0.3)))
    net(draw(8, 3, 4, 4))
    before = {key: value.clone() for key, value in net.state_dict().items()}
    PooledBatchNorm2d.convert(net)
    assert isinstance(net[1][0], PooledBatchNorm2d)
    assert (net[1][0].eps, net[1][0].momentum) == (1e-3, 0.3)
    assert all(torch.equal(net.state_dict()[key], value) for key, value in before.items())


# Errors


@pytest.mark.parametrize(
    ("encoder", "nearest"),
    [
        ("resnet43", "resnet34"),
        ("efficientnet_b0", "efficientnet-b0"),
        ("tu-resnet01t", "tu-resnet10t"),
    ],
)
def test_unknown_encoder_names_the_nearest(encoder, nearest):
    with pytest.raises(UserError) as error:
        build(encoder=encoder)
    assert str(error.value).startswith(f"model.encoder={encoder} is not an encoder of segmentation-models-pytorch")
    assert nearest in str(error.value)


def test_volumes_are_refused():
    with pytest.raises(UserError, match="2D models only, but the data has 3 spatial dimensions; model=unet"):
        build(spatial_dims=3)


def test_encoder_that_does_not_fit_the_decoder():
    with pytest.raises(UserError, match=r"model\.encoder=densenet121 .*: DenseNet encoders do not support"):
        build(smp.DeepLabV3Plus, encoder="densenet121")


@pytest.mark.parametrize(
    ("model", "encoder"),
    [
        ("smp_unetplusplus", "mit_b0"), ("smp_linknet", "mit_b0"), ("smp_dpt", "resnet34"), ("smp_dpt", "tu-resnet18"),
        ("smp_unet", "tu-vit_tiny_patch16_224"), ("smp_pan", "vgg16"),
    ],
)  # fmt: skip
def test_decoders_that_take_some_encoders_only(model, encoder):
    config = configure(f"model={model}", f"model.encoder={encoder}")
    config.measured = {"spatial_dims": 2, "in_channels": 3, "classes": 2}
    with pytest.raises(UserError) as error:
        instantiation.build(config.model, "model")
    message = str(error.value)
    assert message.startswith(f"model.encoder={encoder} model.weights=None: ")
    assert message.endswith("the model's file names fits: leave model.encoder out, or choose one of its kind")
    assert "\n" not in message


def test_unknown_weights_name_the_known_ones():
    with pytest.raises(UserError, match=r"model\.weights=imagnet: Wrong pretrained weights .*'imagenet'"):
        build(weights="imagnet")


@pytest.mark.parametrize("encoder", ["resnet18", "tu-resnet18"])
def test_weights_that_cannot_be_downloaded(encoder, monkeypatch, tmp_path):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UserError) as error:
        build(encoder=encoder, weights="imagenet")
    assert str(error.value) == (
        f"model.weights=imagenet: the weights of {encoder} could not be downloaded; run once with a "
        "connection, so that they are kept, or set model.weights=null"
    )
