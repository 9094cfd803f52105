"""HTML from Python: `tag("td", "a < b", class_="n")` is `<td class="n">a &lt; b</td>`."""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup, escape

_EMPTY = {"img", "input", "meta", "col"}


def tag(name: str, /, *content: object, **attributes: object) -> Markup:
    """Return an element.

    Args:
        name: of the element.
        content: texts are escaped, `Markup` is not, None is left out; lists are taken apart.
        attributes: `class_` is class, `data_metric` is data-metric; None and False are left out, True
            is an attribute without a value.
    """
    parts = []
    for key, value in attributes.items():
        if value is not None and value is not False:
            shown = "" if value is True else f'="{escape(str(value))}"'
            parts.append(f" {key.rstrip('_').replace('_', '-')}{shown}")
    head = f"<{name}{''.join(parts)}>"
    return Markup(head if name in _EMPTY else f"{head}{join(*content)}</{name}>")


def join(*content: object) -> Markup:
    """Return content as one piece of HTML."""
    return Markup("").join(_flat(content))


def _flat(content: Iterable[object]) -> Iterable[str]:
    for item in content:
        if isinstance(item, list | tuple):
            yield from _flat(item)
        elif item is not None:
            yield item if isinstance(item, Markup) else str(item)
