"""The language of docstrings, of attributes too: first lines are imperative or noun phrases, and in plain English."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted(path for folder in ("segbench", "hydra_plugins") for path in (ROOT / folder).rglob("*.py"))

CLAUSES = re.compile(r"(?:What|Whatever|When|Where|Whether|Which|Who|Why|How|Those)\b")
VERBS = re.compile(
    r"(?:"
    r"Adds|Appends|Applies|Arranges|Asks|Begins|Builds|Calls|Checks|Chooses|Classifies|Closes|"
    r"Collects|Commits|Compares|Composes|Computes|Converts|Copies|Creates|Cuts|Deals|Decodes|"
    r"Describes|Does|Doubles|Downloads|Draws|Drops|Encodes|Ends|Enlarges|Executes|Fetches|"
    r"Fills|Finds|Fits|Forgets|Gives|Halves|Has|Hears|Instantiates|Is|Joins|Keeps|Learns|"
    r"Leaves|Lets|Listens|Loads|Looks|Makes|Measures|Moves|Multiplies|Normalises|Opens|Paints|"
    r"Predicts|Prepares|Prints|Puts|Raises|Reads|Refuses|Registers|Releases|Remembers|Removes|"
    r"Replaces|Resamples|Resolves|Restores|Returns|Rounds|Says|Saves|Selects|Sends|Shows|"
    r"Starts|Stops|Stores|Submits|Switches|Takes|Tells|Trains|Tries|Updates|Uses|Validates|"
    r"Waits|Writes|Yields"
    r")\b"
)
"""Verbs in the third person whose form is not that of a plural noun of the field, such as "Scores" or "Ranks"."""
NOUNS = re.compile(
    r"(?:Counts|Logs|Maps|Names|Notes|Numbers|Orders|Places|Ranks|Records|Reports|Runs|Scores|Searches|Sums|Tests|Turns|"
    r"Uploads) (?:a|all|an|each|every|it|one|the|them|whether)\b"
)
"""Verbs in the third person whose form is also a plural noun: recognised by the word that follows."""
UNUSUAL = ("is to be had", "are to be had", "hears of")


def _first_lines(source: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, node.value.value.splitlines()[0]


def _faults(source: str) -> list[str]:
    found = []
    for line, text in _first_lines(source):
        if CLAUSES.match(text):
            found.append(f"{line}: a free clause: {text}")
        if VERBS.match(text) or NOUNS.match(text):
            found.append(f"{line}: a verb in the third person: {text}")
    for line, text in enumerate(source.splitlines(), start=1):
        found += [f"{line}: '{phrase}'" for phrase in UNUSUAL if phrase in text.lower()]
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_docstrings_begin_imperative_or_with_a_noun_phrase(path: Path) -> None:
    assert _faults(path.read_text()) == []


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ('"""Where files are."""', "1: a free clause: Where files are."),
        ('def f():\n    """Returns it."""', "2: a verb in the third person: Returns it."),
        ('def f():\n    """Scores a case."""', "2: a verb in the third person: Scores a case."),
        ('class A:\n    def f(self):\n        """Whether it is."""', "3: a free clause: Whether it is."),
        ('KEYS = ()\n"""What keys are."""', "2: a free clause: What keys are."),
        ('"""A file."""\n# where it is to be had', "2: 'is to be had'"),
    ],
)
def test_faults_are_found(source: str, fault: str) -> None:
    assert _faults(source) == [fault]


@pytest.mark.parametrize("first", ["Return it.", "The file.", "Scores of cases.", "Ranks, 1 = best."])
def test_imperatives_and_nouns_are_no_faults(first: str) -> None:
    assert _faults(f'"""{first}"""') == []
