"""The publication that a network comes from, as its docstring names it."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator

from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

_LINE = re.compile(r"^Source: (?P<source>.+(?:\n(?=\S).+)*)", re.MULTILINE)
"""A paragraph of our own docstrings."""
_TARGET = re.compile(r"^\.\. __: (?P<source>\S+)", re.MULTILINE)
"""The link behind the name of a network in docstrings of segmentation-models-pytorch."""
_LINK = re.compile(r"https?://[^\s<>`)]+")


def find_source(model: DictConfig) -> str | None:
    """The publication of a configured network.

    It is the paragraph `Source: ..` in the docstring of the class or function of `model`, or of `model.net`, where the
    network is a library's or a user's, or of their modules; else the link that such a docstring has.

    Args:
        model: the node `model` of the configuration.
    """
    docstrings = list(_docstrings(model))
    for pattern in (_LINE, _TARGET):
        for text in docstrings:
            if match := pattern.search(text):
                return " ".join(match["source"].split()).rstrip(".")
    for text in docstrings:
        if link := _LINK.search(text):
            return link[0]
    return None


def _docstrings(model: DictConfig) -> Iterator[str]:
    """Docstrings of the class, which may be a wrapper that names nothing, of the network in it, and of modules."""
    targets = [OmegaConf.select(model, key) for key in ("_target_", "net._target_")]
    objects = [get_object(target) for target in targets if target is not None]
    for one in (*objects, *(sys.modules[thing.__module__] for thing in objects)):
        if text := inspect.getdoc(one):
            yield text
