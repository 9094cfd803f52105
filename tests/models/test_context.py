"""The context networks: published parameter counts, the paper's views, and how views are joined."""

import pytest
import torch
from torch import nn
from torch.nn.functional import interpolate

from segbench.config.instantiation import build
from segbench.errors import UserError
from segbench.metrics.cost import receptive_field
from segbench.models.centre_view import centre_view
from segbench.models.context import ContextNet
from tests.made_runs import configure

PUBLISHED = {
    "a": 7_216_900, "b": 7_216_900, "c": 7_216_900, "d": 7_216_900, "e": 7_226_116, "f": 8_003_332, "g": 10_104_580,
    "h": 19_802_884, "i": 28_859_908, "j": 30_961_156,
}  # fmt: skip


def draw(*size):
    return torch.randn(size, generator=torch.Generator().manual_seed(0))


def tiny(**options):
    torch.manual_seed(0)
    return ContextNet(2, 3, {"mask": 4}, **{"width": 4, "features": 8, **options}).eval()


def configured(letter, patch, *overrides):
    config = configure(f"model=context_{letter}", f"data.patch_size=[{patch},{patch}]", *overrides)
    config.measured = {"spatial_dims": 2, "in_channels": 3, "classes": 4}
    return build(config.model, "model")


@pytest.mark.parametrize("letter", PUBLISHED)
def test_parameters(letter):
    """For three channels and four classes; that of e is not confirmed."""
    with torch.device("meta"):
        net = configured(letter, 512)
    assert sum(parameter.numel() for parameter in net.parameters()) == PUBLISHED[letter]


@pytest.mark.parametrize("zoom", [1, 2, 4, 8])
@pytest.mark.parametrize("size", [(512, 512), (128, 128), (120, 97), (33, 5)])
def test_views_are_those_of_the_paper(size, zoom):
    """The whole patch resized to 64, 128, 256 or 512 pixels, of which the middle 64 are cut out."""
    patch, side = draw(2, 3, *size), 64
    whole = interpolate(patch, (zoom * side, zoom * side), mode="bicubic", antialias=True)
    start = (zoom * side - side) // 2
    expected = whole[..., start : start + side, start : start + side]
    torch.testing.assert_close(centre_view(patch, side, zoom), expected, rtol=1e-4, atol=1e-5)


def test_the_finest_view_of_the_papers_patch_is_its_middle():
    patch = draw(1, 3, 512, 512)
    torch.testing.assert_close(centre_view(patch, 64, 8), patch[..., 224:288, 224:288], rtol=0, atol=1e-6)
    assert centre_view(patch, 512) is patch


@pytest.mark.parametrize(("letter", "expected"), [("a", 128), ("b", 64), ("c", 32), ("d", 16), ("h", 128)])
def test_how_far_each_method_sees(letter, expected):
    """To the border of its view, and as far beyond as the cubic kernel reaches: two pixels each way, or four."""
    field = receptive_field(configured(letter, 128, "model.width=2", "model.features=4"), (3, 128, 128))
    assert all(expected <= extent <= min(128, expected + 8) for extent in field)


@pytest.mark.parametrize(("patch", "convs"), [(512, 7), (128, 5), (120, 5), (64, 4), (8, 1), (6, 1)])
def test_depth_of_h_follows_from_the_patch(patch, convs):
    net = configured("h", patch, "model.width=2", "model.features=4").eval()
    strided = [m for m in net.modules() if isinstance(m, nn.Conv2d) and m.stride == (2, 2)]
    assert len(strided) == convs
    assert net(draw(1, 3, patch, patch))["mask"].shape == (1, 4, 1, 1)


def test_encoder_has_no_norm_first_and_no_activation_last():
    layers = [type(layer) for layer in tiny(zooms=[1], fusion="none", view=16).encoders[0]]
    first, second = [nn.Conv2d, nn.LeakyReLU], [nn.Conv2d, nn.BatchNorm2d, nn.LeakyReLU]
    assert layers == [*first, *second, nn.Conv2d, nn.Flatten]


def test_lstm_reads_coarse_to_fine_and_all_its_states_count():
    """The same by torch's LSTM over sequences, with the same weights."""
    net, image = tiny(fusion="lstm"), draw(2, 3, 64, 64)
    sequence = nn.LSTM(8, 8, batch_first=True)
    sequence.load_state_dict({f"{key}_l0": value for key, value in net.lstm.state_dict().items()})
    found = [net.encoders[0](centre_view(image, 64, zoom)) for zoom in (1, 2, 4, 8)]
    states, _ = sequence(torch.stack(found, dim=1))
    expected = net.last(net.hidden(states.flatten(1)))
    torch.testing.assert_close(net(image)["mask"][:, :, 0, 0], expected)


@pytest.mark.parametrize("fusion", ["channels", "concatenate", "lstm"])
@pytest.mark.parametrize("shared", [True, False])
def test_every_view_counts(fusion, shared):
    """A change of the border is seen by the widest view alone, one of the middle by all."""
    net, image = tiny(fusion=fusion, shared=shared), draw(1, 3, 64, 64).requires_grad_()
    seen = [centre_view(image, 64, zoom) for zoom in (1, 2, 4, 8)]
    logits = net(image)["mask"].sum()
    (gradient,) = torch.autograd.grad(logits, image)
    assert (gradient[..., 0] != 0).any()
    assert (gradient[..., 32, 32] != 0).all()
    assert len({view.sum().item() for view in seen}) == 4


def test_separate_encoders_with_the_same_weights_are_a_shared_one():
    shared, separate = tiny(shared=True), tiny(shared=False)
    for encoder in separate.encoders:
        encoder.load_state_dict(shared.encoders[0].state_dict())
    separate.hidden.load_state_dict(shared.hidden.state_dict())
    separate.last.load_state_dict(shared.last.state_dict())
    image = draw(2, 3, 64, 64)
    torch.testing.assert_close(separate(image)["mask"], shared(image)["mask"])
    separate.encoders[3][0].weight.data.zero_()
    assert not torch.allclose(separate(image)["mask"], shared(image)["mask"], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("fusion", ["concatenate", "lstm"])
def test_shared_encoder_predicts_as_it_was_trained(fusion):
    """Batch norm sees all views at once, so that running statistics are those of training."""
    net, image = tiny(fusion=fusion).train(), draw(8, 3, 64, 64)
    for norm in net.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.momentum = 1.0  # the running statistics are those of the last batch
    trained = net(image)["mask"]
    torch.testing.assert_close(net.eval()(image)["mask"], trained, rtol=0.05, atol=0.05 * trained.abs().max().item())


def test_dropout_is_for_training_only():
    """Unlike in the authors' code."""
    net, image = tiny(dropout=0.5), draw(2, 3, 64, 64)
    assert torch.equal(net(image)["mask"], net(image)["mask"])
    net.train()
    assert not torch.equal(net(image)["mask"], net(image)["mask"])


def test_weights_are_drawn_as_the_authors_do():
    torch.manual_seed(0)
    net = ContextNet(2, 3, {"mask": 4}, width=16, features=256)
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            assert module.weight.detach().std() == pytest.approx((2 / (16 * module.out_channels)) ** 0.5, rel=0.1)
        elif isinstance(module, nn.Linear):
            assert module.weight.detach().std() == pytest.approx(0.01, rel=0.1)
    scales = torch.cat([module.weight.detach() for module in net.modules() if isinstance(module, nn.BatchNorm2d)])
    assert scales.mean() == pytest.approx(1, abs=0.01)
    assert scales.std() == pytest.approx(0.02, rel=0.2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fusion": "lstn"}, "model.fusion=lstn is not one of none, channels, concatenate, lstm; did you mean lstm?"),
        ({"fusion": "none"}, "model.zooms=[1, 2, 4, 8] and model.fusion=none: one view needs fusion=none, several"),
        ({"zooms": [1]}, "model.zooms=[1] and model.fusion=concatenate: one view needs fusion=none"),
        ({"zooms": [0, 1]}, "model.zooms=[0, 1] and"),
        ({"view": 4}, "model.view=4 model.width=4 model.features=8: a view has 8 pixels or more"),
    ],
)
def test_errors_name_the_key(options, message):
    with pytest.raises(UserError) as error:
        tiny(**options)
    assert str(error.value).startswith(message)


def test_volumes_are_refused():
    with pytest.raises(UserError, match="takes 2D images only, but the data has 3"):
        ContextNet(3, 1, {"mask": 2})
