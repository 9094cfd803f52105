"""The field of a race: its methods, and the blocks of seed and fold on which they meet."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser

from segbench.errors import UserError

BLOCKS = ("seed", "fold")


@dataclass(frozen=True)
class Field:
    """Methods and the blocks on which they meet.

    Attributes:
        fixed: overrides of all runs.
        methods: overrides of each method, all that is swept but seeds and folds.
        blocks: overrides of each block, in the order of the race: every fold with the first seed, then the next.
    """

    fixed: tuple[str, ...]
    methods: tuple[tuple[str, ...], ...]
    blocks: tuple[tuple[str, ...], ...]

    def overrides(self, method: int, block: int) -> list[str]:
        """The overrides of one run."""
        return [*self.fixed, *self.methods[method], *self.blocks[block]]

    def name(self, method: int) -> str:
        """A method by what is swept."""
        return " ".join(self.methods[method])

    def block_name(self, block: int) -> str:
        """A block by its seed and fold."""
        return " ".join(self.blocks[block])


def parse_field(overrides: Sequence[str], loader: ConfigLoader | None = None) -> Field:
    """Parse the overrides of a race; of two overrides of one key the later counts.

    Args:
        overrides: as typed, a study's first.
        loader: knows the options that `glob(..)` chooses from.

    Raises:
        UserError: where there are fewer than two methods or two blocks.
    """
    fixed: dict[str, str] = {}
    swept: dict[str, list[str]] = {}
    for override in OverridesParser.create(config_loader=loader).parse_overrides(list(overrides)):
        key = override.get_key_element()
        fixed.pop(key, None)
        swept.pop(key, None)
        if override.is_sweep_override():
            swept[key] = [f"{key}={value}" for value in override.sweep_string_iterator()]
        else:
            fixed[key] = str(override.input_line)
    seeds_and_folds = [swept.pop(key) for key in BLOCKS if key in swept]
    methods, blocks = (tuple(itertools.product(*values)) for values in (swept.values(), seeds_and_folds))
    if len(methods) < 2:
        raise UserError("hydra/sweeper=race: there is one method: give a key several values, such as model=unet,segnet")
    if len(blocks) < 2:
        raise UserError(
            "hydra/sweeper=race: methods meet on several seeds or folds: give them, such as seed=0,1,2,3 fold=0,1"
        )
    return Field(tuple(fixed.values()), methods, blocks)
