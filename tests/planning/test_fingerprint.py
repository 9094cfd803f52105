"""Fingerprints: of files, of decoded cases, and what is wrong with one."""

import json

import pytest

from segbench.errors import UserError
from segbench.planning.fingerprint import fingerprint_of, read_fingerprint
from tests.planning.planners import alike, planner

GOOD = json.loads(json.dumps(alike((20, 30, 40), (1.0, 2.0, 3.0), cases=2).as_json()))


def test_the_file_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "fingerprint.json"
    path.write_text(json.dumps(GOOD))
    assert read_fingerprint(path).as_json() == fingerprint_of(GOOD, "here").as_json()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"spacings": None}, "spacings must be rows of numbers above 0"),
        ({"spacings": [[1, 1, 0], [1, 1, 1]]}, "spacings must be rows of numbers above 0"),
        ({"spacings": [[1, 1, 1]]}, "a row for each case, with 2 or 3 numbers in all of them; there are 1 and 2 rows"),
        ({"shapes": [[4, 4], [4, 4]]}, "rows of 2, 3 numbers"),
        ({"shapes": [[4.5, 4, 4], [4, 4, 4]]}, r"shapes=4\.5: must be an integer of at least 1"),
        ({"classes": 1}, "classes=1: must be an integer of at least 2"),
        ({"channels": 2, "modality": ["CT"]}, "modality names 1 channels, channels=2"),
        ({"relative_size_after_cropping": 0}, "relative_size_after_cropping=0: must be above 0"),
    ],
)
def test_what_is_wrong_is_said(change, message):
    with pytest.raises(UserError, match=message):
        fingerprint_of(GOOD | change, "here")


def test_what_lacks_is_said(tmp_path):
    with pytest.raises(UserError, match="has no 'shapes'; a fingerprint has name, modality"):
        fingerprint_of({key: value for key, value in GOOD.items() if key != "shapes"}, "here")
    path = tmp_path / "f.json"
    with pytest.raises(UserError, match="cannot be read as JSON: No such file"):
        read_fingerprint(path)
    path.write_text("[1]")
    with pytest.raises(UserError, match="must hold one fingerprint"):
        read_fingerprint(path)


def test_images_are_volumes_of_one_slice():
    """nnU-Net's own way to plan for images: 999 mm between slices."""
    flat = planner().plan(alike((584, 565), (0.5, 0.5), channels=3))
    deep = planner().plan(alike((1, 584, 565), (999.0, 0.5, 0.5), channels=3))
    assert flat.as_json() == deep.as_json()
    assert list(flat.configurations) == ["2d"]


@pytest.mark.parametrize(
    ("modality", "share", "scheme", "masked"),
    [
        ("CT", 0.5, "CTNormalization", False),
        ("ct", 1.0, "CTNormalization", False),
        ("MRI", 0.5, "ZScoreNormalization", True),
        ("MRI", 0.75, "ZScoreNormalization", False),
        ("noNorm", 0.5, "NoNormalization", False),
    ],
)
def test_normalisation_by_modality(modality, share, scheme, masked):
    facts = {"modality": modality, "relative_size_after_cropping": share}
    full = planner().plan(alike((20, 30, 40), (1.0, 1.0, 1.0), **facts)).full
    assert (full.schemes, full.masked) == ((scheme,), (masked,))
