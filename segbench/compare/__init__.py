"""Ranks of methods and the certainty of their order; needs neither torch nor a run directory.

`segbench.compare(runs)` is `segbench.api.comparison.compare`: this module can be called, as a package and a function
cannot both have the name.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

from segbench.compare.api import intervals, pairwise, rank, rank_sums

__all__ = ["intervals", "pairwise", "rank", "rank_sums"]


class _Compare(ModuleType):
    def __call__(self, *arguments: Any, **settings: Any) -> Any:
        """Compare runs or a table of scores."""
        return import_module("segbench.api.comparison").compare(*arguments, **settings)


sys.modules[__name__].__class__ = _Compare
