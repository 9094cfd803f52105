"""Plans: which difference so many cases and seeds can show, and how many a difference takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

POWER = 0.8
"""Probability with which a difference that is there is to be found."""
MOST = 100_000
"""More cases than this are as good as none."""


@dataclass(frozen=True)
class Chance:
    """The sources of chance in the difference of two methods; standard deviations, NaN where not known.

    Attributes:
        cases: of the difference from case to case that stays when methods are trained again.
        rest: of one seed's score in one case, beyond that.
        seeds: of a method's mean from seed to seed, beyond what cases explain.
    """

    cases: float
    rest: float
    seeds: float

    def error(self, cases: float, seeds: float) -> float:
        """Standard error of the difference of two means."""
        again = 2 * self.rest**2 / (cases * seeds) + 2 * self.seeds**2 / seeds
        return float(np.sqrt(self.cases**2 / cases + again))


def detectable(chance: Chance, cases: float, seeds: int = 1, level: float = 0.05, power: float = POWER) -> float:
    """The smallest true difference that a two-sided test finds with a probability of `power`.

    (t_(1 - level / 2) + t_power) standard errors: the usual approximation to the power of the t test.

    Args:
        chance: the sources of chance.
        cases: independent units.
        seeds: of each method.
        level: of the test, such as 0.05 over the number of tests.
        power: probability to find the difference.
    """
    from scipy.special import stdtrit

    freedom = max(cases - 1, 1)
    if chance.seeds > 0:  # Satterthwaite: seeds of two methods, cases
        of_cases = (chance.cases**2 + 2 * chance.rest**2 / seeds) / cases
        of_seeds = 2 * chance.seeds**2 / seeds
        freedom = (of_cases + of_seeds) ** 2 / (of_cases**2 / freedom + of_seeds**2 / max(2 * (seeds - 1), 1))
    return float((stdtrit(freedom, 1 - level / 2) + stdtrit(freedom, power)) * chance.error(cases, seeds))


def cases_needed(
    chance: Chance, difference: float, seeds: int = 1, level: float = 0.05, power: float = POWER
) -> int | None:
    """The smallest number of cases with which a difference is found; None where cases alone do not do it."""
    low, high = 2, MOST
    if detectable(chance, high, seeds, level, power) > difference:
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (
            (low, middle) if detectable(chance, middle, seeds, level, power) <= difference else (middle + 1, high)
        )
    return low


def seeds_to_find(
    chance: Chance, difference: float, cases: int, level: float = 0.05, power: float = POWER, most: int = 100
) -> int | None:
    """The smallest number of seeds of each method with which a difference is found; None where seeds alone do not."""
    found = (s for s in range(1, most + 1) if detectable(chance, cases, s, level, power) <= difference)
    return next(found, None)


def seeds_needed(sd: float, level: float = 0.05, most: int = 1000) -> int | None:
    """The smallest number of seeds of two methods for a gap of 1 to exceed what seeds alone explain.

    Args:
        sd: standard deviation between seeds, in gaps.
        level: of the test.
        most: where to stop.
    """
    from scipy.special import stdtrit

    seeds = np.arange(2, most + 1)
    enough = stdtrit(2 * (seeds - 1), 1 - level / 2) * sd * np.sqrt(2 / seeds) < 1
    return int(seeds[enough.argmax()]) if enough.any() else None


def resolution(chance: Chance, cases: int, seeds: int, level: float = 0.05) -> str:
    """A sentence: the difference that is found, and what half of it takes."""
    least = detectable(chance, cases, seeds, level)
    half = least / 2
    more = cases_needed(chance, half, seeds, level)
    again = seeds_to_find(chance, half, cases, level) if chance.seeds or chance.rest else None
    ways = [f"{more:,} cases" if more else "", f"{again} seeds of each" if again else ""]
    takes = " or ".join(filter(None, ways)) or "more cases and more seeds"
    return (
        f"one test finds a difference of {least:.2g} with a power of {100 * POWER:g} %; one of {half:.2g} takes {takes}"
    )
