"""Extra arrays of cases: another run's prediction, a field of view, weights of pixels, a second annotator.

A data set declares its own (`Dataset.arrays`) and gives them with each case (`Case.arrays`); the store keeps them
beside the image. Others come after decoding: an `ArrayProvider` computes or opens them by case, and

    store = store.with_arrays(provider)

is the same store, whose cases have the provider's arrays besides their own. Whoever has that store sees them:
patches (`Sample.arrays`, cut and transformed as the image is, nothing being read before it is asked for) and whole
cases (`case.arrays`). `ArrayFolder` is a provider that keeps what is written to it once on the disk.

Arrays of integers and truth values are transformed by nearest pixel, those of floats linearly, and beyond the image
all of them are mirrored as the image is: what counts there, the label says, which is `IGNORE`. No array enters
the network unless `data.input_arrays` names it (`segbench.data.network_input`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Protocol

import numpy as np

from segbench.errors import UserError
from segbench.system.atomic import write_atomically

_UNKNOWN = 255
"""`segbench.data.case.IGNORE`: the value of pixels of a label map whose class is not known."""


@dataclass(frozen=True)
class ArraySpec:
    """The form of an array, the same in all cases.

    Attributes:
        channels: C of an array (C, *S); None: it is (*S).
        classes: the number of classes of a label map (*S), whose values are 0 to classes - 1, or 255 = unknown;
            None: its values are quantities.

    Raises:
        ValueError: where a label map has channels.
    """

    channels: int | None = None
    classes: int | None = None

    def __post_init__(self) -> None:
        if self.channels is not None and self.classes is not None:
            raise ValueError("a label map has no channels: its classes become channels where a network sees it")

    @property
    def inputs(self) -> int:
        """The channels of a network's input that the array becomes: of a label map one per class."""
        return self.classes or self.channels or 1

    def fault(self, array: np.ndarray, size: Sequence[int]) -> str | None:
        """Return what is wrong with an array of an image of a size (*S), or None."""
        expected = [*([] if self.channels is None else [self.channels]), *size]
        if list(array.shape) != expected:
            return f"is {_text(array.shape)}, not {_text(expected)}"
        if array.dtype.kind not in "biuf":
            return f"has values of the type {array.dtype}, not numbers"
        return None

    def fault_of_values(self, array: np.ndarray) -> str | None:
        """Return what is wrong with an array's values, or None."""
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            return "has values that are NaN or infinite"
        if self.classes is not None:
            highest = int(np.max(array, initial=0, where=array != _UNKNOWN))
            if array.dtype.kind == "f" or highest >= self.classes:
                return f"is a label map with the value {highest} of {array.dtype}: classes 0 to {self.classes - 1}"
        return None


class ArrayProvider(Protocol):
    """A provider of arrays that cases get after they were decoded.

    Attributes:
        arrays: the arrays' forms by name. Every case has all of them.
    """

    @property
    def arrays(self) -> Mapping[str, ArraySpec]:
        """The arrays' forms by name."""

    def __call__(self, case_id: str, name: str) -> np.ndarray:
        """Return an array of a case, (*S) or (C, *S). Called in the loader's workers, too: best a memory map.

        Raises:
            UserError: where there is none.
        """


class LazyArrays(Mapping[str, np.ndarray]):
    """Arrays by name, each of which is made when it is first asked for.

    Args:
        names: of the arrays.
        make: the array of a name.
    """

    def __init__(self, names: Iterable[str], make: Callable[[str], np.ndarray]) -> None:
        self._names = names if isinstance(names, Mapping) else dict.fromkeys(names)
        self._make = make
        self._made: dict[str, np.ndarray] = {}

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._made:
            if name not in self._names:
                raise KeyError(name)
            self._made[name] = self._make(name)
        return self._made[name]

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class ArrayFolder:
    """A provider whose arrays are files: `folder/CASE/NAME.npy`, written once and mapped into memory.

    Args:
        folder: need not exist before something is written.
        arrays: their forms by name.
    """

    def __init__(self, folder: Path, arrays: Mapping[str, ArraySpec]) -> None:
        check_names(arrays, "an array")
        self.folder = folder
        self.arrays = arrays

    def has(self, case_id: str, name: str) -> bool:
        """Return whether an array was written."""
        return self._path(case_id, name).exists()

    def write(self, case_id: str, name: str, array: np.ndarray) -> None:
        """Keep an array of a case; a file is complete or not there."""
        content = BytesIO()
        np.save(content, array)
        path = self._path(case_id, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content.getvalue())

    def __call__(self, case_id: str, name: str) -> np.ndarray:
        """Return a memory map of an array.

        Raises:
            UserError: where it was not written.
        """
        path = self._path(case_id, name)
        if not path.exists():
            raise UserError(f"the array {name!r} of the case {case_id} is missing: there is no {path}")
        return np.load(path, mmap_mode="r")  # type: ignore[no-any-return]

    def _path(self, case_id: str, name: str) -> Path:
        return self.folder / case_id / f"{name}.npy"


def check_names(names: Iterable[str], where: str) -> None:
    """Check that names of arrays can stand in configurations and file names.

    Raises:
        UserError: naming the first that cannot.
    """
    for name in names:
        if not re.fullmatch(r"[A-Za-z]\w*", str(name)):
            raise UserError(f"{where}: {name!r} is no name of an array: letters, digits and _ make one, such as fov")


def _text(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))
