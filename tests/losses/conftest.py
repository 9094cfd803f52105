from functools import cache

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from tests.losses.draws import CONF

MEASURED = [
    "+measured.class_frequencies=[0.5,0.3,0.2]", "+measured.class_frequencies_where_present=[0.6,0.3,0.2]",
    "+measured.class_0_counts=false",
]  # fmt: skip


@cache
def composed(name, overrides):
    given = [value if value.startswith("+") else f"++loss.{value}" for value in overrides]
    with initialize_config_dir(str(CONF), version_base=None):
        return compose(overrides=[f"+loss={name}", *MEASURED, *given])


@pytest.fixture
def build():
    """Builds a loss of conf/loss: the name, and overrides without the leading `loss.`; others start with +."""

    def from_yaml(name, *overrides):
        return instantiate(composed(name, overrides), _convert_="all")["loss"]

    return from_yaml
