"""Small files in the layout of published data sets that are not on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

Polygon = Sequence[tuple[float, float]]


def disks(rng: np.random.Generator, size: tuple[int, int], count: int, radius: int = 5) -> np.ndarray:
    """(H, W) instance map of disks; later ones lie over earlier ones."""
    rows, columns = np.indices(size)
    result = np.zeros(size, np.int32)
    for number in range(1, count + 1):
        y, x = rng.uniform(radius, np.array(size) - radius)
        result[(rows - y) ** 2 + (columns - x) ** 2 < radius**2] = number
    return result


def photograph(rng: np.random.Generator, mask: np.ndarray, channels: int = 1) -> np.ndarray:
    """(*S, C) uint8, brighter in the mask; (*S) for one channel."""
    noise = rng.normal(60, 15, (*mask.shape, channels))
    image = np.clip(120 * (mask[..., None] > 0) + noise, 0, 255).astype(np.uint8)
    return image[..., 0] if channels == 1 else image


def epfl_mitochondria(root: Path, slices: int = 12, size: tuple[int, int] = (40, 48)) -> None:
    rng = np.random.default_rng(0)
    root.mkdir(parents=True, exist_ok=True)
    for stack in ("training", "testing"):
        truth = np.stack([disks(rng, size, 3) for _ in range(slices)]) > 0
        write_stack(root / f"{stack}.tif", photograph(rng, truth))
        write_stack(root / f"{stack}_groundtruth.tif", truth.astype(np.uint8) * 255)


def write_stack(path: Path, pages: np.ndarray) -> None:
    tifffile.imwrite(path, pages, photometric="minisblack")


def glas(root: Path, counts: Sequence[tuple[str, int]] = (("train", 11), ("testA", 3), ("testB", 2))) -> None:
    rng = np.random.default_rng(0)
    root.mkdir(parents=True, exist_ok=True)
    lines = ["name, patient ID, grade (GlaS), grade (Sirinukunwattana et al. 2015)"]
    for part, count in counts:
        for number in range(1, count + 1):
            name = f"{part}_{number}"
            glands = disks(rng, (44, 52), 3, 7)
            Image.fromarray(photograph(rng, glands, 3)).save(root / f"{name}.bmp")
            Image.fromarray(glands.astype(np.uint8)).save(root / f"{name}_anno.bmp")
            lines.append(f"{name}, {(number - 1) // 2}, benign, adenomatous")
    (root / "Grade.csv").write_text("\n".join(lines) + "\n")


def drive(root: Path, count: int = 3, size: tuple[int, int] = (40, 38)) -> None:
    rng = np.random.default_rng(0)
    rows, columns = np.indices(size)
    inside = (rows - 20) ** 2 + (columns - 19) ** 2 < 17**2
    for part, first in (("training", 21), ("test", 1)):
        for folder in ("images", "1st_manual", "mask", *(["2nd_manual"] if part == "test" else [])):
            (root / part / folder).mkdir(parents=True, exist_ok=True)
        for number in range(first, first + count):
            vessels = np.zeros(size, bool)
            vessels[:, number % 7 :: 9] = True
            image = photograph(rng, vessels, 3)
            tifffile.imwrite(root / part / "images" / f"{number:02}_{part}.tif", image, photometric="rgb")
            files = {
                "1st_manual": (f"{number:02}_manual1", vessels & inside),
                "mask": (f"{number:02}_{part}_mask", inside),
            }
            if part == "test":
                files["2nd_manual"] = (f"{number:02}_manual2", ~vessels & inside)
            for folder, (name, mask) in files.items():
                write_gif(root / part / folder / f"{name}.gif", mask)


def write_gif(path: Path, mask: np.ndarray) -> None:
    """Black and white, with the palette the other way round: 0 is white."""
    image = Image.fromarray((~mask).astype(np.uint8), "P")
    image.putpalette([255, 255, 255, 0, 0, 0])
    image.save(path)


def cell_tracking(root: Path, name: str = "PhC-C2DH-U373", annotated: Sequence[int] = (0, 3, 4, 7, 9)) -> None:
    rng = np.random.default_rng(0)
    for sequence in ("01", "02"):
        for folder in (sequence, f"{sequence}_GT/SEG", f"{sequence}_GT/TRA", f"{sequence}_ST/SEG"):
            (root / name / folder).mkdir(parents=True, exist_ok=True)
        for time in range(10):
            cells = disks(rng, (40, 44), 4)
            cells[cells == 2] = 300  # 16 bits: numbers are those of the tracks
            tifffile.imwrite(root / name / sequence / f"t{time:03}.tif", photograph(rng, cells))
            kinds = ["ST", *(["GT"] if time in annotated else [])]
            for kind in kinds:
                path = root / name / f"{sequence}_{kind}" / "SEG" / f"man_seg{time:03}.tif"
                tifffile.imwrite(path, cells.astype(np.uint16))
            tifffile.imwrite(root / name / f"{sequence}_GT/TRA" / f"man_track{time:03}.tif", cells.astype(np.uint16))


def imagescope(path: Path, regions: Sequence[tuple[str, Polygon]], layer: str = "", holes: Sequence[int] = ()) -> None:
    """An annotation file; each region has a name and vertices (x, y), those in `holes` are negative."""
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', '<Annotations MicronsPerPixel="0.467">']
    lines += [f'<Annotation Id="1" Name="{layer}" Type="4"><Regions>', "<RegionAttributeHeaders/>"]
    for number, (name, vertices) in enumerate(regions):
        lines.append(f'<Region Id="{number + 1}" Type="0" Text="" NegativeROA="{int(number in holes)}">')
        if name:
            lines.append(f'<Attributes><Attribute Name="" Id="1" Value="{name}"/></Attributes>')
        else:
            lines.append("<Attributes/>")
        lines += ["<Vertices>", *(f'<Vertex X="{x}" Y="{y}" Z="0"/>' for x, y in vertices), "</Vertices></Region>"]
    path.write_text("\n".join([*lines, "</Regions><Plots/></Annotation></Annotations>"]))


def box(left: float, top: float, right: float, bottom: float) -> Polygon:
    """The contour of the pixels of columns left .. right - 1 and rows top .. bottom - 1."""
    left, top, right, bottom = left - 0.5, top - 0.5, right - 0.5, bottom - 0.5
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def monuseg(root: Path) -> None:
    rng = np.random.default_rng(0)
    parts = {"MoNuSeg 2018 Training Data": (("Tissue Images", "Annotations"), 12), "MoNuSegTestData": (("", ""), 2)}
    for part, (folders, count) in parts.items():
        for folder in folders:
            (root / part / folder).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            name = f"TCGA-{number // 2:02}-{part[8:12].strip()}-01Z-00-DX{number % 2 + 1}"
            corners = rng.integers(2, 30, (4, 2)).tolist()
            boxes = [box(x, y, x + 6, y + 5) for x, y in corners]
            imagescope(root / part / folders[1] / f"{name}.xml", [("", one) for one in boxes])
            mask = np.zeros((40, 40), bool)
            for x, y in corners:
                mask[y : y + 5, x : x + 6] = True
            tifffile.imwrite(root / part / folders[0] / f"{name}.tif", photograph(rng, mask, 3), photometric="rgb")


def write_slide(path: Path, pixels: np.ndarray, levels: Sequence[np.ndarray] = (), tile: int = 48) -> None:
    """(H, W, 3) as an Aperio slide: the full image, a thumbnail, and the pyramid's smaller levels."""
    text = "Aperio Image Library v12.0.15\n{0}x{1} [0,0 {0}x{1}] (48x48) JPEG/RGB Q=70|AppMag = 40|MPP = 0.467"
    options = {"photometric": "rgb", "metadata": None, "software": False}
    with tifffile.TiffWriter(path) as file:
        description = text.format(pixels.shape[1], pixels.shape[0])
        file.write(pixels, tile=(tile, tile), description=description, compression="zlib", **options)
        file.write(pixels[::10, ::10], description=description + "|thumbnail", rowsperstrip=16, **options)
        for level in levels:
            file.write(level, tile=(tile, tile), description=description, compression="zlib", **options)


def shrunk(pixels: np.ndarray, fraction: int) -> np.ndarray:
    """The rounded means of squares; what fills no square is left out."""
    height, width = pixels.shape[0] // fraction, pixels.shape[1] // fraction
    squares = pixels[: height * fraction, : width * fraction].reshape(height, fraction, width, fraction, -1)
    return np.floor(squares.mean(axis=(1, 3)) + 0.5).astype(np.uint8)


def bach(root: Path, count: int = 5) -> None:
    rng = np.random.default_rng(0)
    folder = root / "WSI"
    folder.mkdir(parents=True, exist_ok=True)
    names = ("Benign", "Carcinoma in situ", "Carcinoma invasive")
    for number in range(1, count + 1):
        label = np.zeros((320, 400), np.uint8)
        regions = []
        for value, name in enumerate(names, start=1):
            left, top = 120 * value - 80, 40 * number % 200
            label[top : top + 80, left : left + 80] = value
            regions.append((name, box(left, top, left + 80, top + 80)))
        pixels = np.clip(label[..., None] * 60 + rng.normal(50, 10, (*label.shape, 3)), 0, 255).astype(np.uint8)
        write_slide(folder / f"A{number:02}.svs", pixels, levels=[shrunk(pixels, 4)])
        imagescope(folder / f"A{number:02}.xml", regions)
    write_slide(folder / "01.svs", pixels)  # not annotated


MAKERS = {
    "bach": bach,
    "cell_tracking": cell_tracking,
    "drive": drive,
    "epfl_mitochondria": epfl_mitochondria,
    "glas": glas,
    "monuseg": monuseg,
}
