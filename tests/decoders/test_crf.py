"""The mean field against brute force over all pairs of pixels, and against what the energy says."""

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from segbench.config.instantiation import build
from segbench.config.paths import conf_folder
from segbench.decoders.argmax import Argmax
from segbench.decoders.crf import Crf
from segbench.errors import UserError


def draw(*size, seed=0):
    return torch.randn(size, generator=torch.Generator().manual_seed(seed))


def kernels(crf, image):
    """(n, n) of both kernels in double precision, by a loop over all pairs."""
    size = image.shape[1:]
    places = np.array(list(np.ndindex(*size)), float)
    colours = image.numpy().reshape(len(image), -1).T.astype(float)
    n = len(places)
    both = np.zeros((2, n, n))
    for i in range(n):
        for j in range(n):
            if i != j:
                away = ((places[i] - places[j]) ** 2).sum()
                contrast = ((colours[i] - colours[j]) ** 2).sum()
                both[0, i, j] = np.exp(-away / (2 * crf.theta_a**2) - contrast / (2 * crf.theta_b**2))
                both[1, i, j] = np.exp(-away / (2 * crf.theta_g**2))
    if crf.normalize:
        total = both.sum(axis=2)
        both /= np.sqrt(total[:, :, None] * total[:, None, :])
    return crf.appearance * both[0] + crf.smoothness * both[1]


def brute_force(crf, logits, image):
    """Equation 4 of the paper as it is printed, with the compatibility matrix written out."""
    classes = len(logits)
    unary = -logits.double().log_softmax(0).reshape(classes, -1).numpy()
    kernel, compatibility = kernels(crf, image), 1 - np.eye(classes)
    q = np.exp(-unary)
    for _ in range(crf.iterations):
        energy = unary + compatibility @ (q @ kernel)  # the kernel is symmetric and 0 for a pixel with itself
        q = np.exp(-energy)
        q /= q.sum(axis=0)
    return q.reshape(logits.shape)


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize(("size", "window"), [((6, 6), 11), ((5, 4), 9), ((3, 4, 3), 7), ((1, 5), 9)])
def test_a_window_that_covers_the_image_is_the_dense_field(size, window, normalize):
    crf = Crf(Argmax, 4, window, 0.8, 2.0, 0.7, 0.5, 1.5, normalize)
    logits, image = draw(3, *size), draw(2, *size, seed=1)
    np.testing.assert_allclose(crf.refine(logits, image).exp(), brute_force(crf, logits, image), rtol=1e-4, atol=1e-6)


def test_a_small_window_leaves_out_what_is_far():
    """A kernel that ends within the window does not see where the window ends."""
    logits, image = draw(2, 20, 21), draw(1, 20, 21, seed=1)
    near = [Crf(Argmax, 3, window, 2.0, 0.7, 1.0, 1.0, 0.7).refine(logits, image) for window in (9, 15)]
    torch.testing.assert_close(near[0], near[1], rtol=0, atol=1e-3)
    far = [Crf(Argmax, 3, window, 2.0, 7.0, 1.0, 1.0, 7.0).refine(logits, image) for window in (9, 15)]
    assert (far[0] - far[1]).abs().max() > 0.1


def test_without_weights_it_is_the_network():
    logits, image = draw(3, 9, 8), draw(1, 9, 8)
    refined = Crf(Argmax, appearance=0, smoothness=0).refine(logits, image)
    assert torch.equal(refined.exp(), logits.log_softmax(0).exp())
    assert torch.equal(Crf(Argmax, iterations=0).refine(logits, image), refined)


def test_where_nothing_speaks_for_a_class_none_wins():
    refined = Crf(Argmax).refine(torch.zeros(4, 12, 13), torch.ones(2, 12, 13))
    torch.testing.assert_close(refined.exp(), torch.full((4, 12, 13), 0.25))


@pytest.mark.parametrize("size", [(15, 15), (9, 9, 9)])
def test_a_lone_pixel_is_turned(size):
    logits = torch.zeros(2, *size)
    logits[0] = 1.0
    centre = tuple(length // 2 for length in size)
    logits[(slice(None), *centre)] = torch.tensor([0.0, 2.0])
    crf = Crf(Argmax, window=5)
    assert Argmax().label({"mask": logits}, torch.zeros(1, *size))[centre] == 1
    assert crf.label({"mask": logits}, torch.zeros(1, *size)).sum() == 0
    # An image that shows it keeps it where only the image counts.
    image = torch.zeros(1, *size)
    image[(0, *centre)] = 10.0
    assert Crf(Argmax, window=5, smoothness=0.0).label({"mask": logits}, image).sum() == 1


def test_a_border_moves_to_the_edge_in_the_image():
    image = torch.zeros(1, 20, 30)
    image[:, :, 15:] = 3.0
    logits = torch.zeros(2, 20, 30)
    logits[1, :, 18:], logits[0, :, :12] = 2.0, 2.0
    label = Crf(Argmax, iterations=10).label({"mask": logits}, image)
    np.testing.assert_array_equal(label, np.broadcast_to(np.arange(30) >= 15, (20, 30)))


def test_the_energy_of_the_labelling_falls():
    """On average over drawn images: of the class with the highest probability, before and after."""
    crf = Crf(Argmax, 8, 11, 0.3, 2.0, 1.0, 0.2, 1.5, normalize=False)
    falls = []
    for seed in range(8):
        logits, image = draw(2, 6, 6, seed=seed), draw(1, 6, 6, seed=seed + 100)
        kernel, unary = kernels(crf, image), -logits.log_softmax(0).reshape(2, -1).numpy()
        energy = []
        for label in (logits.argmax(0), crf.refine(logits, image).argmax(0)):
            x = label.flatten().numpy()
            energy.append(unary[x, np.arange(36)].sum() + (kernel * (x[:, None] != x)).sum() / 2)
        falls.append(energy[0] - energy[1])
    assert np.mean(falls) > 0.5
    assert min(falls) >= -1e-6


def test_half_precision_logits_and_other_heads_pass():
    logits, image = draw(2, 8, 9).bfloat16(), draw(1, 8, 9)
    seen = {}

    class Spy(Argmax):
        def label(self, outputs, image):
            seen.update(outputs)
            return super().label(outputs, image)

    label = Crf(Spy, background=None).label({"mask": logits, "other": logits}, image)
    assert label.dtype == np.uint8
    assert torch.equal(seen["other"], logits)
    assert seen["mask"].dtype == torch.float32


def test_objects_are_those_of_the_decoder_that_follows():
    node = OmegaConf.load(conf_folder() / "decoder" / "crf.yaml")
    node.then.minimum_size = 3
    crf = build(node, "decoder", background=1)
    label = np.array([[0, 0, 0, 1, 2], [1, 1, 1, 1, 2]], np.uint8)
    expected = Argmax(minimum_size=3, background=1).instances({}, label)
    np.testing.assert_array_equal(crf.instances({}, label), expected)
    assert expected.max() == 1


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"window": 10}, "window=10"),
        ({"iterations": -1}, "iterations=-1"),
        ({"theta_b": 0.0}, "theta_b=0.0"),
        ({"smoothness": -1.0}, "smoothness=-1.0"),
    ],
)
def test_impossible_values(choices, message):
    with pytest.raises(UserError, match=rf"decoder\.{message}: must be"):
        Crf(Argmax, **choices)
