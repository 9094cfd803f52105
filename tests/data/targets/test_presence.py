"""The classes of a patch."""

import numpy as np

from segbench.data.targets.presence import Finding, Presence
from tests.data.targets.samples import sample_of


def test_presence_of_classes() -> None:
    label = np.array([[0, 0, 2], [2, 2, 255]], np.uint8)
    np.testing.assert_array_equal(Presence(4)(sample_of(None, label)).ravel(), [1, 0, 1, 0])
    assert Presence(4)(sample_of(None, label[None])).shape == (4, 1, 1, 1)
    np.testing.assert_array_equal(Presence(4, least=3)(sample_of(None, label)).ravel(), [0, 0, 1, 0])


def test_a_patch_of_which_nothing_is_known() -> None:
    assert (Presence(2)(sample_of(None, np.full((3, 3), 255, np.uint8))) == 255).all()


def test_a_finding_is_anything_but_background() -> None:
    label = np.zeros((4, 4), np.uint8)
    label[0, 0] = 255
    for least, pixels, shown in ((1, 0, 0), (1, 1, 1), (3, 2, 0), (3, 3, 1)):
        label[2, :pixels] = 2
        found = Finding(least)(sample_of(None, label))
        assert (found.shape, found.dtype) == ((2, 1, 1), np.float32)
        np.testing.assert_array_equal(found.ravel(), [1 - shown, shown])
