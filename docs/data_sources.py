"""Write docs/data-sources.md: where each data set comes from, on which terms, and in which files it is expected.

    python docs/data_sources.py

What it says is `Dataset.source`, as `segbench prepare data=NAME` shows it.
"""

from __future__ import annotations

import re
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.utils import get_class

from segbench.commands.resolvers import register_resolvers
from segbench.config.comments import read_comments
from segbench.config.paths import conf_folder
from segbench.data.case import Dataset

HERE = Path(__file__).parent
HEAD = """# Where data comes from

Written by `make sources` from what each data set says of itself: do not edit it. `segbench prepare data=NAME` checks
the files, decodes them, and says what is there and what is wrong with it.
"""


def section(name: str) -> str:
    """What a data set says of itself."""
    config = compose(config_name="train", overrides=[f"data={name}"])
    kind = get_class(config.data.dataset._target_)
    assert issubclass(kind, Dataset)
    source = kind.source
    header = read_comments(conf_folder() / "data" / f"{name}.yaml").header
    text = re.sub(r"\s*See: segbench prepare [^\n]*", "", header).replace("\n ", "\n    ")
    described = re.sub(r"\n(?=    )", "\n\n", text, count=1)
    lines = [
        f"\n## {name}\n\n{described}\n\n",
        f"- **from**: {source.address}\n- **licence**: {source.licence}\n- **cite**: {source.citation}\n",
        f"- **files**: `{source.layout}`\n",
    ]
    return "".join(lines)


def page() -> str:
    """The page as it should be."""
    register_resolvers()
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        return HEAD + "".join(section(path.stem) for path in sorted((conf_folder() / "data").glob("*.yaml")))


if __name__ == "__main__":
    (HERE / "data-sources.md").write_text(page())
