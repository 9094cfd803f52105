"""A hook of MkDocs: links to files of the repository beside docs/ become their names: the site does not hold them."""

import re
from typing import Any

_OUTSIDE = re.compile(r"\[([^\]]+)\]\(\.\./[^)]+\)")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """The page with links to `../FILE` as plain text."""
    return _OUTSIDE.sub(r"\1", markdown)
