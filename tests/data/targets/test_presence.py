"""The classes of a patch."""

import numpy as np

from segbench.data.targets.presence import Presence
from tests.data.targets.samples import sample_of


def test_presence_of_classes() -> None:
    label = np.array([[0, 0, 2], [2, 2, 255]], np.uint8)
    np.testing.assert_array_equal(Presence(4)(sample_of(None, label)).ravel(), [1, 0, 1, 0])
    assert Presence(4)(sample_of(None, label[None])).shape == (4, 1, 1, 1)
    np.testing.assert_array_equal(Presence(4, least=3)(sample_of(None, label)).ravel(), [0, 0, 1, 0])


def test_a_patch_of_which_nothing_is_known() -> None:
    assert (Presence(2)(sample_of(None, np.full((3, 3), 255, np.uint8))) == 255).all()
