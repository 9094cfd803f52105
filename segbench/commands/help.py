"""The command `help`: what a command, a group of options, an option or a key is."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable, Iterator, Sequence

from omegaconf import MISSING

from segbench.commands.resolvers import register_resolvers
from segbench.config.reference import Key, describe, groups, having, options, own_keys
from segbench.config.wording import nearest, suggestion
from segbench.errors import UserError

WIDTH = 100
"""Of the text, in a terminal that is as wide."""


def show_help(commands: Sequence[str], arguments: Sequence[str]) -> None:
    """Print what something is.

    Args:
        commands: the names of all.
        arguments: a command, a group (model), an option (model=unet) or a key (trainer.max_steps), and options that
            are chosen (model.kernel model=segnet).

    Raises:
        UserError: where there is no such thing.
    """
    register_resolvers()
    names = [argument for argument in arguments if "=" not in argument]
    chosen = [argument for argument in arguments if "=" in argument]
    for line in (line for name in names for line in _of(name, chosen, commands)) if names else _of_options(chosen):
        print(line)


def _of(name: str, chosen: Sequence[str], commands: Sequence[str]) -> Iterator[str]:
    if name in commands:
        yield from _lines(
            key for key in describe(name, chosen) if key.path.partition(".")[0] not in {*groups(), "hydra"}
        )
        yield f"segbench {name} --help shows examples and choices; segbench help GROUP and help KEY say more"
    elif name in groups():
        for option, header in options(name).items():
            yield from _wrapped(f"{name}={option}: {header}", "", "    ")
        yield f"the keys of an option: segbench help {name}={next(iter(options(name)))}"
    else:
        yield from _of_key(name, chosen, commands)


def _of_options(chosen: Sequence[str]) -> Iterator[str]:
    for choice in chosen:
        group, _, option = choice.partition("=")
        if group not in groups():
            raise UserError(f"{group}: there is no such group{suggestion(group, groups())}")
        known = options(group)
        if option not in known:
            raise UserError(f"{choice}: there is no such option{suggestion(option, list(known))}")
        yield from _wrapped(known[option])
        prefix = f"{group.replace('/', '.')}."
        own = own_keys(group, option)
        others = [key for key in describe("train", [choice]) if key.path.startswith(prefix) and key not in own]
        yield from _lines([*own, *others])


def _of_key(name: str, chosen: Sequence[str], commands: Sequence[str]) -> Iterator[str]:
    known: list[str] = []
    for command in commands:
        keys = describe(command, chosen if command == "train" else ())
        if found := [key for key in keys if key.path == name or key.path.startswith(f"{name}.")]:
            yield from _lines(found, "" if command == "train" else f"segbench {command} ")
            return
        known += [key.path for key in keys]
    if chosen or not (with_option := having(name)):
        near = nearest(name, [*commands, *groups(), *dict.fromkeys(known)])
        some = f"; there are commands ({', '.join(commands)}), the groups that segbench --help lists, and their keys"
        raise UserError(f"{name}: there is no such command, group or key{near or some}")
    yield f"of {', '.join(with_option[:5])}{', ..' if len(with_option) > 5 else ''}; with {with_option[0]}:"
    yield from _of_key(name, with_option[:1], commands)


def _lines(keys: Iterable[Key], prefix: str = "") -> Iterator[str]:
    for key in keys:
        yield f"{prefix}{key.path}={key.default}"
        yield from _wrapped(f"{key.kind}{'; it must be given' if key.default == MISSING else ''}", "    ", "    ")
        if key.meaning not in key.kind:
            yield from _wrapped(key.meaning, "    ", "    ")


def _wrapped(text: str, first: str = "", rest: str = "") -> Iterator[str]:
    """The lines of a text, with what stands before the first and the others; what is indented stays as it is."""
    width = min(WIDTH, shutil.get_terminal_size((WIDTH, 0)).columns)
    for number, line in enumerate(text.splitlines()):
        before = rest if number else first
        if line.startswith(" "):
            yield before + line
        else:
            yield from textwrap.wrap(line, width, initial_indent=before, subsequent_indent=rest)
