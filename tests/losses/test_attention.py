"""Weights of pixels by how wrong a network was (AttentionBoost)."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segbench.errors import UserError
from segbench.losses.attention import attention


def weights(foreground: list[float], label: list[int]) -> list[float]:
    """Of pixels with these probabilities of class 1."""
    z = torch.tensor(foreground, dtype=torch.float64).logit()[None, None, None]
    target = torch.tensor(label)[None, None]
    found = attention(torch.cat([-z / 2, z / 2], dim=1), target)
    torch.testing.assert_close(attention(z, target), found)  # a single logit says the same
    return [float(value) for value in found.flatten()]


def test_examples() -> None:
    """Those printed with the rule: right by 0.9, by 0.6, undecided, wrong by 0.4 and by 0.1."""
    assert weights([0.9, 0.6, 0.5, 0.4, 0.1], [1] * 5) == pytest.approx([0.6, 0.9, 1.0, 1.1, 1.4])
    assert weights([0.9, 0.6, 0.5, 0.4, 0.1], [0] * 5) == pytest.approx([1.4, 1.1, 1.0, 0.9, 0.6])


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(1e-3, 1 - 1e-3), st.integers(0, 1)), min_size=1))
def test_the_published_rule(pixels: list[tuple[float, int]]) -> None:
    expected = [1 - abs(y - 0.5) if (y >= 0.5) == bool(label) else 1 + abs(y - 0.5) for y, label in pixels]
    found = weights([y for y, _ in pixels], [label for _, label in pixels])
    assert found == pytest.approx(expected, abs=1e-6)


def test_ignored_pixels_and_gradients() -> None:
    logits = torch.randn(2, 3, 4, 4, requires_grad=True)
    target = torch.full((2, 4, 4), 255)
    found = attention(logits, target)
    assert (found == 1).all()
    assert not found.requires_grad


def test_what_is_no_class_is_refused() -> None:
    with pytest.raises(UserError, match="former names a head of classes"):
        attention(torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4))
