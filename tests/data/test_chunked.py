"""Volumes in chunks: exact, read in part, and as small as what they hold."""

from pathlib import Path

import numpy as np
import pytest

from segbench.data.chunked import SUFFIX, ChunkedArray, write_chunked
from segbench.data.patches import _cut


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", "int32"])
@pytest.mark.parametrize("shape", [(5, 40, 33), (2, 130, 20, 35)])
def test_any_slice_is_that_of_the_array(tmp_path: Path, dtype: str, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    array = (rng.normal(size=shape) * 100).astype(dtype)
    write_chunked(tmp_path / f"a{SUFFIX}", array)
    stored = ChunkedArray(tmp_path / f"a{SUFFIX}")
    assert (stored.shape, stored.dtype, stored.ndim, len(stored)) == (array.shape, array.dtype, array.ndim, len(array))
    np.testing.assert_array_equal(np.asarray(stored), array)
    np.testing.assert_array_equal(stored[..., 3:17, 2:30], array[..., 3:17, 2:30])
    for _ in range(20):
        low = rng.integers(-8, np.array(shape[-3:]))
        high = low + rng.integers(1, 20, 3)
        np.testing.assert_array_equal(_cut(stored, low, high), _cut(array, low, high))
        np.testing.assert_array_equal(_cut(stored, low, high, 7), _cut(array, low, high, 7))


def test_arrays_that_lie_otherwise_in_memory(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 9, (30, 20, 10)).T
    write_chunked(tmp_path / f"a{SUFFIX}", array)
    np.testing.assert_array_equal(ChunkedArray(tmp_path / f"a{SUFFIX}"), array)


def test_labels_are_small_on_the_disk(tmp_path: Path) -> None:
    label = np.zeros((64, 128, 128), np.uint8)
    label[20:40, 30:90, 40:80] = 3
    write_chunked(tmp_path / f"a{SUFFIX}", label)
    assert (tmp_path / f"a{SUFFIX}").stat().st_size < label.size / 100
