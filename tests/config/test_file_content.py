"""A file's content as a part of the configuration: it decides of the id, and what is wrong is said in one line."""

from pathlib import Path

import albumentations as A
import pytest
from omegaconf.errors import InterpolationResolutionError

from segbench.config.identity import run_id
from tests.made_runs import configure


def composed(path: Path | str):
    return configure("augmentation=albumentations_file", f"augmentation.file={path}")


def test_the_content_is_read_and_identifies_the_run(tmp_path: Path) -> None:
    path = tmp_path / "pipeline.json"
    ids = []
    for probability in (0.5, 0.4, 0.5):
        A.save(A.Compose([A.HorizontalFlip(p=probability)]), path)
        config = composed(path)
        assert config.augmentation.pipeline.transform.transforms[0].p == probability
        ids.append(run_id(config))
    assert ids[0] == ids[2] != ids[1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"augmentation\.file=.*it\.json cannot be read: No such file"),
        ("{a: [", r"augmentation\.file=.*it\.json is neither YAML nor JSON: "),
        ("[1, 2]", r"augmentation\.file=.*it\.json has no keys and values"),
    ],
)
def test_files_that_say_nothing(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "it.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InterpolationResolutionError, match=message):
        run_id(composed(path))


def test_no_file() -> None:
    with pytest.raises(InterpolationResolutionError, match=r"augmentation\.file is not set: give the path"):
        run_id(configure("augmentation=albumentations_file"))
