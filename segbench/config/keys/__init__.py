"""The keys of the configuration: the type and range of each; meaning and default stand in the YAML files.

A table of keys belongs to a class (the `_target_` of a node), or to a node without one: by the name of the command or
by its dotted path. `X.arrays.*` are the nodes below the key `arrays` of X. Keys that no table has, and all below a
`_target_` that has no table, are free: its class says what it takes.
"""

from collections.abc import Mapping
from types import MappingProxyType

from segbench.config.keys import commands, data, evaluation, models, planning, training
from segbench.config.keys.kinds import Kind

KEYS: Mapping[str, Mapping[str, Kind]] = MappingProxyType(
    {**commands.KEYS, **data.KEYS, **evaluation.KEYS, **models.KEYS, **planning.KEYS, **training.KEYS}
)
"""Class or node -> key -> type."""
