"""First lines of docstrings and citations of data sets, read from the source without importing it."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import segbench


def definition(target: str) -> str:
    """The first line of the docstring of a function or class of segbench; empty for those of others."""
    module, _, name = target.rpartition(".")
    for node in _tree(module).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            return (ast.get_docstring(node) or "").partition("\n")[0]
    return ""


def citation(target: str) -> str:
    """The source that a data set's class names; empty where it has none."""
    module, _, name = target.rpartition(".")
    for node in _tree(module).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            for part in ast.walk(node):
                if isinstance(part, ast.keyword) and part.arg == "citation":
                    text = str(ast.literal_eval(part.value))
                    return "" if text in ("none", "yours") else text
    return ""


@cache
def _tree(module: str) -> ast.Module:
    path = Path(segbench.__file__).parents[1].joinpath(*module.split(".")).with_suffix(".py")
    if not module.startswith("segbench.") or not path.exists():
        return ast.Module([], [])
    return ast.parse(path.read_text(encoding="utf-8"))
