"""Leaks: test cases whose image the network knows under another name."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from segbench.data.splits import Split
    from segbench.data.store import CaseStore


def leaks(store: CaseStore, split: Split) -> dict[str, str]:
    """The test cases whose pixels are those of a training or validation case, and that case.

    Images that only resemble each other are not found.
    """
    known = {store.meta(case).image_digest: case for case in reversed((*split.train, *split.validation))}
    digests = {case: store.meta(case).image_digest for case in split.test}
    return {case: known[digest] for case, digest in digests.items() if digest in known}


def warning(found: dict[str, str], test_cases: int) -> str:
    """The words for it.

    Args:
        found: what `leaks` gives, not empty.
        test_cases: how many there are.
    """
    case, other = next(iter(found.items()))
    return (
        f"{len(found)} of {test_cases} test cases have the image of a training or validation case, such as {case} that"
        f" of {other}: their scores say nothing of new images"
    )
