"""PNG, BMP, JPEG, GIF and WEBP: what Pillow decodes, and PNG with all of its 16 bits."""

from __future__ import annotations

import io
from contextlib import suppress
from pathlib import Path

import imagecodecs
import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from segbench.data.formats.reader import Decoded, exact_spacing, is_grey, printless
from segbench.errors import UserError

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_DEPTH, _PNG_COLOUR = 24, 25  # offsets of the bits per channel and of the kind of pixels in a PNG file
_PNG_PALETTE, _PNG_COLOURS = 3, (2, 6)  # kinds of pixels: with a palette; in red, green and blue

SUFFIXES: tuple[str, ...] = (".png", ".bmp", ".jpg", ".jpeg", ".gif", ".webp")
SIGNATURES: tuple[bytes, ...] = (_PNG_SIGNATURE, b"BM", b"\xff\xd8\xff", b"GIF8", b"RIFF")

# Pillow refuses very large images to protect servers from hostile uploads; here they are whole slides.
Image.MAX_IMAGE_PIXELS = None


def read(path: Path) -> Decoded:
    """Decode an image; GIF, WEBP and PNG of several frames are refused."""
    content = path.read_bytes()
    palette = alpha = None
    with Image.open(io.BytesIO(content)) as image:
        if getattr(image, "is_animated", False) and image.format != "MPO":  # a photograph and its previews
            raise UserError(f"{path} holds several images: one is expected, or a TIFF stack")
        if content.startswith(_PNG_SIGNATURE) and content[_PNG_DEPTH] == 16:  # of which Pillow makes 8 bits
            pixels = imagecodecs.png_decode(content)
            if pixels.ndim == 3 and pixels.shape[-1] in (2, 4):
                pixels, alpha = pixels[..., :-1], pixels[..., -1]
        else:
            pixels = np.asarray(_plain_mode(image))
            palette = _palette(image)
            alpha = np.asarray(image.getchannel("A")) if image.mode in ("LA", "RGBA") else None
        pixels = pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)
        return Decoded(
            pixels.astype(pixels.dtype.newbyteorder("="), copy=False),
            palette=palette,
            spacing=_spacing(image),
            orientation=_orientation(image),
            lossy=image.format in ("JPEG", "MPO") or (image.format == "WEBP" and b"VP8L" not in content),
            alpha=alpha,
        )


def count_channels(path: Path) -> int:
    """Channels of an image by its header."""
    with path.open("rb") as file:
        start = file.read(_PNG_COLOUR + 1)
    if start.startswith(_PNG_SIGNATURE) and len(start) > _PNG_COLOUR and start[_PNG_COLOUR] != _PNG_PALETTE:
        return 3 if start[_PNG_COLOUR] in _PNG_COLOURS else 1
    with Image.open(path) as image:
        palette = _palette(image)
        if palette is not None:
            return 1 if is_grey(palette) else 3
        return 3 if _is_colour(image.mode) else 1


def encode_mask(label: np.ndarray, like: Path | None) -> tuple[str, bytes] | None:
    """Encode a plane of up to 16 bits as PNG, or as BMP where `like` is one and 8 bits do.

    The other formats would change values, or number them anew. Viewers turn it as they turn `like`.
    """
    if label.ndim > 2 or label.dtype.itemsize > 2:
        return None
    suffix = like.suffix if like is not None else ""
    if suffix.lower() != ".png" and (suffix.lower() != ".bmp" or label.dtype != np.uint8):
        suffix = ".png"
    exif = Image.Exif()
    if like is not None and like.is_file():
        with suppress(UnidentifiedImageError), Image.open(like) as image:
            exif[ExifTags.Base.Orientation] = _orientation(image)
    content = io.BytesIO()
    turned = {"exif": exif} if exif.get(ExifTags.Base.Orientation, 1) > 1 else {}
    Image.fromarray(label).save(content, suffix[1:].upper(), **turned)
    return suffix, content.getvalue()


def _is_colour(mode: str) -> bool:
    """Return whether Pillow's mode has more than brightness and transparency."""
    return not (mode in ("1", "L", "LA", "I", "F") or mode.startswith("I;16"))


def _plain_mode(image: Image.Image) -> Image.Image:
    """Grey, RGB or palette: alpha dropped, other colour spaces converted."""
    if image.mode == "LA":
        return image.convert("L")
    return image.convert("RGB") if _is_colour(image.mode) and image.mode not in ("RGB", "P") else image


def _palette(image: Image.Image) -> np.ndarray | None:
    """The colours (256, 3) of a palette image, black where it has fewer; None where it has no palette."""
    if image.mode != "P":
        return None
    stored = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
    palette = np.zeros((256, 3), np.uint8)
    palette[: len(stored)] = stored
    return palette


def _spacing(image: Image.Image) -> tuple[float, ...] | None:
    """Size of a pixel along rows and columns in mm, from PNG's pHYs, BMP's and JPEG's density."""
    columns, rows = image.info.get("dpi", (0, 0))
    return exact_spacing(*(printless(25.4 / float(dots)) if dots else None for dots in (rows, columns)))


def _orientation(image: Image.Image) -> int:
    """EXIF's orientation; 1 where there is none or a damaged one."""
    with suppress(Exception):
        found = image.getexif().get(ExifTags.Base.Orientation, 1) if "exif" in image.info else 1
        return int(found) if 1 <= found <= 8 else 1
    return 1
