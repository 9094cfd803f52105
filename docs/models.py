"""Write docs/models.md, the table of all models, from what `segbench describe` says of each.

    python docs/models.py

The same networks give the same table. It takes some minutes, and downloads nothing.
"""

from __future__ import annotations

from pathlib import Path

import yaml
from hydra import compose, initialize_config_dir

from segbench.commands.resolvers import register_resolvers
from segbench.config.paths import conf_folder
from segbench.description.network import Network
from segbench.errors import UserError

HERE = Path(__file__).parent
HEAD = """# Models

Written by `make models` from `segbench describe`: do not edit it. `segbench describe model=NAME` says more of each, and
of it as you set it: parameters stage by stage, memory of a training step.

Three channels and two classes; patches of 128 x 128 pixels, or the next size that the network takes. GFLOPs are for the
prediction of a patch, a multiplication and its addition counted as two. The receptive field is that of the pixel in
the middle, norms over the image left aside; "whole" where it reaches the border of the largest image that was tried.
That of unpooling (segnet, deconvnet) is approximate: it depends on where the maxima lie.

| model | parameters | GFLOPs | receptive field | sizes | dims | source |
|---|---:|---:|---|---|---|---|
"""
COUNTS = """
## Published numbers of parameters

Each is what `segbench describe` gives with these values, and a test checks that.

| describe | parameters | |
|---|---:|---|
"""


def network(*overrides: str) -> Network:
    """The network that `segbench describe` describes."""
    return Network(compose(config_name="describe", overrides=list(overrides)))


def row(name: str) -> str:
    """The line of a model."""
    if name == "external":
        return "| `external` | | | | | | any `nn.Module` of your own |\n"
    found = network(f"model={name}", "channels=3", "classes=2")
    field = found.receptive_field
    seen = "" if field is None else " x ".join(map(str, field.pixels)) if field.bounded else "whole"
    operations = "" if found.flops is None else f"{found.flops / 1e9:.3g}"
    cells = (f"`{name}`", f"{found.parameters:,}", operations, seen, str(found.sizes), dims(name), str(found.source))
    return f"| {' | '.join(cells)} |\n"


def dims(name: str) -> str:
    """The dimensions that a model takes."""
    try:
        network(f"model={name}", "channels=3", "classes=2", "dims=3")
    except UserError:
        return "2D"
    return "2D, 3D"


def main() -> None:
    """Write the table."""
    register_resolvers()
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        names = sorted(path.stem for path in (conf_folder() / "model").glob("*.yaml"))
        table = HEAD
        for name in names:
            table += row(name)
            print(name, flush=True)
    for count in yaml.safe_load((HERE / "published_counts.yaml").read_text()):
        table += COUNTS if "## Published" not in table else ""
        table += f"| `{count['overrides']}` | {count['published']:,} | {count.get('note', '')} |\n"
    (HERE / "models.md").write_text(table)


if __name__ == "__main__":
    main()
