"""Volumes of every format: read as other libraries read them, and masks that lie on their image to the bit."""

import gzip
import locale
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK

from segbench.data.formats import count_channels, decode, image_files, read_image, read_mask, write_mask
from segbench.errors import UserError

SHAPE = (5, 6, 7)  # (z, y, x)
OBLIQUE = np.array([[-0.7, 0.11, 0.3, 12.3], [0.15, 0.88, -0.2, -7.7], [0.2, 0.25, 2.9, 101.0], [0, 0, 0, 1]])


def voxels(dtype: str = "int16") -> np.ndarray:
    return np.random.default_rng(0).integers(0, 200, SHAPE).astype(dtype)


def write_nifti(path: Path, array: np.ndarray, affine: np.ndarray, kind: type = nibabel.Nifti1Image) -> Path:
    nibabel.save(kind(array.T, affine), path)
    return path


def geometry(header: nibabel.Nifti1Header) -> bytes:
    keys = [key for key in header if key.startswith(("srow", "quatern", "qoffset", "qform", "sform", "xyzt"))]
    return b"".join(np.asarray(header[key]).tobytes() for key in keys) + header["pixdim"][:4].tobytes()


FLIPPED = np.diag([-1.25, 0.5, -3.0, 1.0])


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("affine", [np.diag([0.5, 0.7, 3, 1]), FLIPPED, OBLIQUE], ids=["plain", "flipped", "oblique"])
def test_a_mask_of_nifti_has_the_bits_of_its_geometry(
    tmp_path: Path, affine: np.ndarray, suffix: str, kind: type
) -> None:
    path = write_nifti(tmp_path / f"image{suffix}", voxels(), affine, kind)
    decoded = decode(path)
    np.testing.assert_array_equal(decoded.array[0], voxels())
    np.testing.assert_allclose(decoded.spacing, np.linalg.norm(affine[:3, :3], axis=0)[::-1], rtol=1e-6)
    assert decoded.affine is not None
    np.testing.assert_allclose(decoded.affine @ [1, 2, 3, 1], affine @ [3, 2, 1, 1], rtol=1e-6)
    label = np.random.default_rng(1).integers(0, 3, SHAPE)
    mask = write_mask(tmp_path / "mask", label, like=path)
    assert mask.name == f"mask{suffix}"
    ours, theirs = nibabel.load(mask), nibabel.load(path)
    assert geometry(ours.header) == geometry(theirs.header)
    assert ours.affine.tobytes() == theirs.affine.tobytes()
    assert ours.get_data_dtype() == np.uint8
    np.testing.assert_array_equal(np.asarray(ours.dataobj).T, label)
    np.testing.assert_array_equal(read_mask(mask), label)


def test_itk_sees_a_nifti_mask_on_its_image(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "image.nii.gz", voxels(), FLIPPED)
    mask = write_mask(tmp_path / "mask", voxels("uint8") // 100, like=path)
    image, label = SimpleITK.ReadImage(str(path)), SimpleITK.ReadImage(str(mask))
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(image), decode(path).array[0])
    for of in ("GetOrigin", "GetSpacing", "GetDirection"):
        assert getattr(image, of)() == getattr(label, of)()


def test_the_sform_counts_and_both_are_kept(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(voxels().T, None)
    image.set_sform(FLIPPED, 2)
    image.set_qform(np.diag([1.25, 0.5, 3.0, 1.0]), 1)
    nibabel.save(image, tmp_path / "image.nii")
    decoded = decode(tmp_path / "image.nii")
    assert decoded.affine is not None
    np.testing.assert_allclose(decoded.affine, FLIPPED[:, [2, 1, 0, 3]])
    mask = write_mask(tmp_path / "mask", voxels("uint8"), like=tmp_path / "image.nii")
    assert geometry(nibabel.load(mask).header) == geometry(nibabel.load(tmp_path / "image.nii").header)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha", ".mhd", ".nhdr"])
def test_a_mask_of_nrrd_or_metaimage_has_the_geometry_of_its_image(tmp_path: Path, suffix: str) -> None:
    image = SimpleITK.GetImageFromArray(voxels())
    turn = np.linalg.qr(OBLIQUE[:3, :3])[0]
    image.SetDirection(turn.ravel().tolist())
    image.SetSpacing((0.1 + 0.2, 1 / 3, 2.5))
    image.SetOrigin((1 / 7, -1e3 / 3, 4))
    path = tmp_path / f"image{suffix}"
    SimpleITK.WriteImage(image, str(path))
    decoded = decode(path)
    np.testing.assert_array_equal(decoded.array[0], voxels())
    assert decoded.affine is not None
    there = np.array(image.TransformIndexToPhysicalPoint((3, 2, 1))) * [-1, -1, 1]
    np.testing.assert_allclose((decoded.affine @ [1, 2, 3, 1])[:3], there)
    mask = write_mask(tmp_path / "mask", voxels("uint8"), like=path)
    assert mask.suffix == {".mhd": ".mha", ".nhdr": ".nrrd"}.get(suffix, suffix)
    read, label = SimpleITK.ReadImage(str(path)), SimpleITK.ReadImage(str(mask))
    for of in ("GetOrigin", "GetSpacing", "GetDirection"):
        assert getattr(read, of)() == getattr(label, of)()
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(label), voxels("uint8"))


def write_dicom(folder: Path, array: np.ndarray, series: str = "1.2.3", gap: float = 2.5) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    before = locale.setlocale(locale.LC_ALL)  # GDCM sets another one
    writer = SimpleITK.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for index, plane in enumerate(array):
        image = SimpleITK.GetImageFromArray(plane)
        image.SetSpacing((0.75, 0.5))
        tags = {"0020|0032": f"10\\20\\{gap * index}", "0020|0037": "1\\0\\0\\0\\1\\0", "0020|000e": series}
        tags |= {"0020|0013": str(index), "0008|0060": "CT", "0008|0018": f"{series}.{index}", "0020|000d": "1.2"}
        for key, value in tags.items():
            image.SetMetaData(key, value)
        writer.SetFileName(str(folder / f"{series}.{index:03}.dcm"))
        writer.Execute(image)
    locale.setlocale(locale.LC_ALL, before)
    return folder


def test_a_folder_of_dicom_is_one_volume(tmp_path: Path) -> None:
    folder = write_dicom(tmp_path / "in" / "patient", voxels())
    assert image_files(tmp_path / "in", "input") == {"patient": folder}
    before = locale.getlocale(), locale.getpreferredencoding(False)
    decoded = decode(folder)
    np.testing.assert_array_equal(decoded.array[0], voxels())
    assert decoded.spacing == (2.5, 0.5, 0.75)
    assert count_channels(folder) == 1
    assert (locale.getlocale(), locale.getpreferredencoding(False)) == before  # the reader's library sets its own
    mask = write_mask(tmp_path / "mask", voxels("uint8"), like=folder)
    assert mask.suffix == ".nrrd"
    np.testing.assert_allclose(decode(mask).affine, decoded.affine)


def test_two_dicom_series_in_a_folder_are_refused(tmp_path: Path) -> None:
    write_dicom(tmp_path / "patient", voxels())
    write_dicom(tmp_path / "patient", voxels(), "1.2.4")
    with pytest.raises(UserError, match="holds 2 DICOM series: expected is a folder for each series"):
        decode(tmp_path / "patient")


def test_a_missing_dicom_slice_is_noticed(tmp_path: Path) -> None:
    folder = write_dicom(tmp_path / "patient", voxels())
    (folder / "1.2.3.002.dcm").unlink()
    with pytest.raises(UserError, match=r"2\.5 to 5 mm apart: one is missing"):
        decode(folder)


@pytest.mark.parametrize("suffix", [".nii.gz", ".mha", ".npy"])
def test_channels_are_the_fourth_axis(tmp_path: Path, suffix: str) -> None:
    array = np.random.default_rng(0).normal(size=(3, *SHAPE)).astype(np.float32)
    path = tmp_path / f"image{suffix}"
    if suffix == ".npy":
        np.save(path, array)
    elif suffix == ".mha":
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(np.moveaxis(array, 0, -1), isVector=True), str(path))
    else:
        nibabel.save(nibabel.Nifti1Image(array.transpose(3, 2, 1, 0), np.eye(4)), path)
    np.testing.assert_array_equal(read_image(path), array)
    assert count_channels(path) == 3
    mask = write_mask(tmp_path / "mask", voxels("uint8"), like=path)
    np.testing.assert_array_equal(read_mask(mask), voxels("uint8"))


def test_masks_as_floats_as_codes_and_with_a_slope(tmp_path: Path) -> None:
    label = np.random.default_rng(0).integers(0, 4, SHAPE)
    write_nifti(tmp_path / "float.nii.gz", label.astype(np.float64), np.eye(4))
    write_nifti(tmp_path / "codes.nii.gz", (label * 1000).astype(np.uint16), np.eye(4))
    header = nibabel.Nifti1Image((label * 51).astype(np.uint8).T, np.eye(4)).header
    header["scl_slope"], header["scl_inter"], header["vox_offset"], header["magic"] = 1 / 51, 0, 352, b"n+1"
    content = header.binaryblock + b"\0" * 4 + (label * 51).astype(np.uint8).tobytes()
    (tmp_path / "slope.nii.gz").write_bytes(gzip.compress(content))
    np.testing.assert_array_equal(read_mask(tmp_path / "float.nii.gz"), label)
    np.testing.assert_array_equal(read_mask(tmp_path / "codes.nii.gz"), label * 1000)
    np.testing.assert_array_equal(read_mask(tmp_path / "slope.nii.gz"), label)


def test_ct_stays_in_sixteen_bits(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "ct.nii.gz", voxels() - 1000, np.eye(4))
    assert read_image(path).dtype == np.int16
    assert read_image(path).min() < 0


def test_colours_are_refused(tmp_path: Path) -> None:
    colours = np.zeros(SHAPE[::-1], [("R", "u1"), ("G", "u1"), ("B", "u1")])
    nibabel.save(nibabel.Nifti1Image(colours, np.eye(4)), tmp_path / "image.nii.gz")
    with pytest.raises(UserError, match="holds colours"):
        decode(tmp_path / "image.nii.gz")


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "image.nii.gz", voxels(), np.eye(4))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"image.nii.gz cannot be read, it is damaged or no image"):
        decode(path)


def test_nan_voxels_are_refused(tmp_path: Path) -> None:
    array = voxels("float32")
    array[0, 0, 0] = np.nan
    with pytest.raises(UserError, match="NaN or infinite"):
        read_image(write_nifti(tmp_path / "image.nii.gz", array, np.eye(4)))


def test_a_spacing_of_zero_is_refused(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "image.nii", voxels(), np.eye(4))
    content = bytearray(path.read_bytes())
    content[80:84] = np.float32(0).tobytes()  # pixdim[1]
    path.write_bytes(content)
    with pytest.raises(UserError, match="its voxels are 0 x 1 x 1 mm: every size must be above 0"):
        decode(path)


def test_a_header_that_contradicts_itself_is_refused(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "image.nii", voxels(), np.eye(4))
    content = bytearray(path.read_bytes())
    content[80:84] = np.float32(2).tobytes()
    path.write_bytes(content)
    with pytest.raises(UserError, match="2 x 1 x 1 mm by pixdim, 1 x 1 x 1 mm by its matrix"):
        decode(path)


def test_lengths_in_micrometres_become_millimetres(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(voxels().T, np.diag([500, 500, 2000, 1]))
    image.header.set_xyzt_units("micron")
    nibabel.save(image, tmp_path / "image.nii.gz")
    decoded = decode(tmp_path / "image.nii.gz")
    assert decoded.spacing == (2.0, 0.5, 0.5)
    assert decoded.affine is not None
    np.testing.assert_allclose(decoded.affine[:3, :3], np.diag([2, 0.5, 0.5])[::-1])
