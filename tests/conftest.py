"""Fixtures that many tests share."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine is no failure.
settings.register_profile("segbench", deadline=None)
settings.load_profile("segbench")

# Before PyTorch is imported, here and in the commands that tests start: on small arrays threads only wait for
# each other, and `pytest -n` runs a process per core as it is.
os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Decoded images of tests, also of commands that they start, stay out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEGBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """Gives the folder of a real data set by name; skips the test where it is not on this machine."""
    folder = Path(os.environ.get("SEGBENCH_DATA", ROOT.parent / "shared" / "data"))

    def find(name: str) -> Path:
        if not (folder / name).is_dir():
            pytest.skip(f"the data set {name} is not in SEGBENCH_DATA")
        return folder / name

    return find
