"""segbench: which segmentation method is better, and how sure one can be of it."""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # albumentations would ask the network for news when imported

if TYPE_CHECKING:
    from segbench.api.comparison import Comparison, compare
    from segbench.api.runs import Run, load
    from segbench.api.training import sweep, train
    from segbench.errors import UserError

_PLACES = {
    "Comparison": "segbench.api.comparison",
    "Run": "segbench.api.runs",
    "UserError": "segbench.errors",
    "load": "segbench.api.runs",
    "sweep": "segbench.api.training",
    "train": "segbench.api.training",
}
"""The modules of the public names, imported when a name is asked for: `import segbench` costs nothing."""

__all__ = ["Comparison", "Run", "UserError", "__version__", "compare", "load", "sweep", "train"]


def __getattr__(name: str) -> Any:
    if name == "compare":  # the package, which can be called
        return import_module("segbench.compare")
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
