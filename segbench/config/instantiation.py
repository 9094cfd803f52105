"""Objects from nodes of the configuration: the one place that calls a `_target_`."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf.errors import OmegaConfBaseException

from segbench.errors import UserError, as_line

logging.getLogger("hydra.utils").setLevel(logging.CRITICAL)  # its errors are raised here, in one line


def build(node: Any, key: str, **arguments: Any) -> Any:
    """Instantiate one node of the configuration.

    Args:
        node: with a `_target_`.
        key: where it stands, for messages.
        arguments: added to those of the node.

    Raises:
        UserError: where its class refuses the values.
    """
    try:
        if not arguments:
            return _direct(instantiate(node, _convert_="all"))
        # Called here, not by Hydra, which would copy the arguments into a configuration.
        return instantiate(node, _convert_="all", _partial_=True)(**arguments)
    except (InstantiationException, OmegaConfBaseException, TypeError, ValueError) as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, UserError):
                raise cause from None
            deepest, cause = cause, cause.__cause__
        place = getattr(error, "full_key", None) or key
        if isinstance(deepest, ImportError | TypeError | ValueError | KeyError | OmegaConfBaseException):
            raise UserError(f"{place}: {as_line(deepest)}") from error
        raise


def _direct(value: Any) -> Any:
    """Replace Hydra's partial functions, which check the target anew whenever they are called, by plain ones.

    They were checked when they were made, and metrics are called for every class of every case.
    """
    if isinstance(value, partial):
        return partial(value.func, *value.args, **{key: _direct(argument) for key, argument in value.keywords.items()})
    if isinstance(value, dict):
        return {key: _direct(element) for key, element in value.items()}
    return value
