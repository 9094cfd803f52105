"""The page docs/reference.md, from the tables of types and the YAML files: `make reference`."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

from segbench.commands.execution import COMMANDS
from segbench.commands.resolvers import register_resolvers
from segbench.config.reference import Key, describe, groups, options, own_keys

_TOP = """# Reference

Every key with its type and range, its default and its meaning, made by `make reference` from `segbench/config/keys/`
(types) and the files of `conf/` (defaults, and meanings from their comments); `segbench help KEY` shows the same.
A key that a file leaves out has the default of the file that it is made from. Classes of your own take what they take.
"""

UNFINISHED = ("albumentations_file",)
"""Options that need a value before their keys can be shown."""


def page() -> str:
    """The whole page in Markdown."""
    register_resolvers()
    return "\n".join([_TOP, *_commands(), *_groups()])


def _commands() -> Iterator[str]:
    of_groups = {group.partition("/")[0] for group in groups()}
    seen: set[str] = set()
    yield "## Commands\n"
    for command in COMMANDS:
        keys = [key for key in describe(command) if key.path.partition(".")[0] not in of_groups]
        own = [key for key in keys if command != "describe" or key.path not in seen]  # which has all of train
        seen |= {key.path for key in keys}
        if own:
            yield f"### segbench {command}\n"
            yield from _table(own)


def _groups() -> Iterator[str]:
    for group in groups():
        yield f"## {group}\n"
        for option, header in options(group).items():
            yield f"### {group}={option}\n\n{_paragraphs(header)}\n"
            if option not in UNFINISHED and (keys := own_keys(group, option)):
                yield from _table(keys)


def _table(keys: Iterable[Key]) -> Iterator[str]:
    yield "| key | type | default | meaning |\n|---|---|---|---|"
    for key in keys:
        default = f"`{key.default}`".replace("|", "\\|")
        yield f"| `{key.path}` | {_escaped(key.kind)} | {default} | {_escaped(key.meaning)} |"
    yield ""


def _paragraphs(text: str) -> str:
    """Text whose indented lines are code."""
    blocks = itertools.groupby(text.splitlines(), key=lambda line: line.startswith(" "))
    return "\n\n".join(
        "\n".join(f"    {line.strip()}" if indented else _escaped(line) for line in lines) for indented, lines in blocks
    )


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_")


if __name__ == "__main__":
    print(page(), end="")
