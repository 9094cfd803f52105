"""Several heads on one encoder: whose gradients go where, and how many parameters there are."""

from collections.abc import Mapping
from functools import partial

import pytest
import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn

from segbench.errors import UserError
from segbench.models.smp import SmpModel
from segbench.models.unet import UNet
from segbench.training.objective import Objective, Part

HEADS = {"mask": 3, "distance": 1, "flows": 2}
WEIGHTS = {"mask": 0.5, "distance": 2.0, "flows": 3.0}


def unet(dims: int, heads: Mapping[str, int], share: str) -> UNet:
    torch.manual_seed(0)
    return UNet(dims, 1, heads, channels=(4, 6, 8), norm="instance", share=share)  # type: ignore[arg-type]


def smp_unet(heads: Mapping[str, int], share: str, net: type[nn.Module] = smp.Unet) -> SmpModel:
    torch.manual_seed(0)
    return SmpModel(2, 1, heads, net=net, encoder="resnet18", share=share)  # type: ignore[arg-type]


NETWORKS = {"unet": partial(unet, 2), "unet_3d": partial(unet, 3), "smp_unet": smp_unet}


def count(*modules: nn.Module) -> int:
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


def image_of(name: str) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(2, 1, *((8, 12, 12) if name == "unet_3d" else (20, 24)), generator=generator)


def encoder_of(model: nn.Module) -> nn.Module:
    return model.net.encoder if isinstance(model, SmpModel) else model.encoder  # type: ignore[return-value]


@pytest.mark.parametrize("name", NETWORKS)
def test_the_gradient_of_the_encoder_is_the_weighted_sum_of_those_of_the_tasks(name: str) -> None:
    model = NETWORKS[name](HEADS, "encoder").eval()
    image = image_of(name)
    batch = {head: torch.rand(2, channels, *image.shape[2:]) for head, channels in HEADS.items()}

    def gradients(weights: Mapping[str, float]) -> list[Tensor]:
        model.zero_grad()
        parts = {head: Part(nn.MSELoss(), weight) for head, weight in weights.items()}
        Objective(parts)(model(image), batch)[0].backward()
        return [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in encoder_of(model).parameters()]

    together = gradients(WEIGHTS)
    alone = [gradients({head: weight}) for head, weight in WEIGHTS.items()]
    for whole, *parts in zip(together, *alone, strict=True):
        torch.testing.assert_close(whole, torch.stack(parts).sum(dim=0), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_decoder_has_no_gradient_of_other_tasks(name: str) -> None:
    model = NETWORKS[name](HEADS, "encoder").eval()
    outputs = model(image_of(name))
    outputs["distance"].square().sum().backward()  # type: ignore[union-attr]
    if isinstance(model, SmpModel):
        decoders = {
            "mask": [model.net.decoder, model.net.segmentation_head],
            **{k: [v] for k, v in model.others.items()},
        }
    else:
        decoders = {head: [stages, model.heads.convs[head]] for head, stages in model.decoder.items()}  # type: ignore[operator]
    for head, modules in decoders.items():
        grads = [p.grad for module in modules for p in module.parameters() if p.requires_grad]
        assert grads
        if head == "distance":
            assert all(grad is not None for grad in grads)
        else:
            assert all(grad is None for grad in grads)


@pytest.mark.parametrize("dims", [2, 3])
def test_parameters_are_an_encoder_and_a_decoder_for_each_head(dims: int) -> None:
    one, several = unet(dims, {"a": 2}, "all"), unet(dims, dict.fromkeys("abc", 2), "encoder")
    encoder = count(one.encoder)
    assert count(several) == encoder + 3 * (count(one) - encoder)
    shared = unet(dims, dict.fromkeys("abc", 2), "all")
    assert count(shared) == count(one) + 2 * count(one.heads)


def test_parameters_of_the_library() -> None:
    one, several = smp_unet({"a": 2}, "all"), smp_unet(dict.fromkeys("abc", 2), "encoder")
    encoder = count(one.net.encoder)
    assert count(several) == encoder + 3 * (count(one) - encoder)


@pytest.mark.parametrize("name", NETWORKS)
def test_one_head_is_the_plain_network(name: str) -> None:
    """Weights have the same names and values, so that a run of before is read."""
    plain, one = (NETWORKS[name]({"mask": 2}, share) for share in ("all", "encoder"))
    assert plain.state_dict().keys() == one.state_dict().keys()
    image = image_of(name)
    torch.testing.assert_close(one.eval()(image)["mask"], plain.eval()(image)["mask"], rtol=0, atol=0)


@pytest.mark.parametrize("name", NETWORKS)
def test_sizes_and_heads(name: str) -> None:
    model = NETWORKS[name](HEADS, "encoder").eval()
    image = image_of(name)
    outputs = model(image)
    assert (
        {head: tuple(value.shape) for head, value in outputs.items()}
        == {  # type: ignore[union-attr]
            head: (2, channels, *image.shape[2:]) for head, channels in HEADS.items()
        }
    )


def test_deep_supervision_of_each_decoder() -> None:
    model = UNet(2, 1, HEADS, channels=(4, 6, 8), deep_supervision=True, share="encoder")
    outputs = model(torch.rand(1, 1, 16, 16))
    assert [tuple(level.shape) for level in outputs["flows"]] == [(1, 2, 16, 16), (1, 2, 8, 8)]


def test_what_cannot_be_shared_is_said() -> None:
    with pytest.raises(UserError, match=r"model\.share=nothing: must be encoder or all"):
        unet(2, HEADS, "nothing")
    dpt = partial(smp.DPT, dynamic_img_size=True)
    with pytest.raises(UserError, match=r"model\.share=encoder: DPT takes several heads with model\.share=all alone"):
        SmpModel(2, 3, HEADS, net=dpt, encoder="tu-vit_tiny_patch16_224", share="encoder")
