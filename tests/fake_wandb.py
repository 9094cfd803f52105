"""W&B's client of this process, pointed at a server on loopback."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import wandb

from segbench.loggers import wandb_access, wandb_upload
from tests.compare.fake_wandb_server import serve
from tests.compare.fake_wandb_upload import UploadServer

KEY = "0123456789abcdef" * 2 + "deadbeef"
"""An API key as W&B makes them, known here alone."""


@contextmanager
def online(tmp_path, key: str | None = KEY) -> Iterator[UploadServer]:
    """A server that W&B's client takes for W&B's, and that takes this key.

    Args:
        tmp_path: where W&B finds neither settings nor keys of the user's.
        key: the user's, None: there is none.
    """
    fake = UploadServer()
    with serve(fake) as address, pytest.MonkeyPatch.context() as patch:
        fake.key = KEY
        patch.setenv("WANDB_BASE_URL", address)
        patch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "config"))
        patch.setenv("NETRC", str(tmp_path / "netrc"))
        patch.setenv("WANDB_ERROR_REPORTING", "false")
        patch.delenv("WANDB_MODE", raising=False)
        patch.delenv("WANDB_API_KEY", raising=False)
        if key is not None:
            patch.setenv("WANDB_API_KEY", key)
        forget()
        try:
            yield fake
        finally:
            fake.health = 500  # what is still on its way is refused, not waited for
            forget()


def forget() -> None:
    """Has W&B's client read the environment anew: it does so once in a process, and other tests have used it."""
    wandb.teardown()
    wandb_access._reached.clear()
    wandb_upload._api.cache_clear()
    from wandb.sdk.lib import wbauth

    wbauth.unauthenticate_session(update_settings=False)
