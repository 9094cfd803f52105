"""Hydra's override grammar as distributions."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from segbench.errors import UserError
from segbench.sweeps.search.space import parse_space, rounded


@pytest.mark.parametrize(
    ("override", "distribution"),
    [
        ("a=tag(log,interval(1e-5,1e-1))", FloatDistribution(1e-5, 1e-1, log=True)),
        ("a=interval(0,0.5)", FloatDistribution(0, 0.5)),
        ("a=interval(1,8)", FloatDistribution(1, 8)),
        ("a=int(interval(1,8))", IntDistribution(1, 8)),
        ("a=tag(int,interval(1.5,8.5))", IntDistribution(2, 8)),
        ("a=tag(int,log,interval(1,64))", IntDistribution(1, 64, log=True)),
        ("a=int(tag(log,interval(1,64)))", IntDistribution(1, 64, log=True)),
        ("a=range(1,9,2)", IntDistribution(1, 7, step=2)),
        ("a=range(8,1,-3)", IntDistribution(2, 8, step=3)),
        ("a=shuffle(range(1,5))", IntDistribution(1, 4)),
        ("a=range(0,1,0.25)", FloatDistribution(0, 0.75, step=0.25)),
        ("a=choice(x,y)", CategoricalDistribution(("x", "y"))),
        ("a=1,2,1", CategoricalDistribution(("1", "2"))),
        ("a=shuffle(x,y)", CategoricalDistribution(("x", "y"))),
        ("+a=[1,2],'it is',null,true", CategoricalDistribution(("[1,2]", "'it is'", "null", "True"))),
    ],
)
def test_what_each_form_means(override, distribution):
    (parsed,) = parse_space([override]).varied.values()
    assert parsed == distribution


@given(st.integers(-20, 20), st.integers(-20, 20), st.integers(-5, 5).filter(bool))
def test_a_range_has_the_values_that_hydra_enumerates(start, stop, step):
    text = f"a=range({start},{stop},{step})"
    values = sorted(map(int, OverridesParser.create().parse_override(text).sweep_string_iterator()))
    if not values:
        with pytest.raises(UserError, match="empty"):
            parse_space([text])
        return
    one = parse_space([text]).varied["a"]
    assert isinstance(one, IntDistribution)
    assert list(range(one.low, one.high + 1, one.step)) == values


def test_what_is_fixed_stays_as_typed_and_the_later_wins():
    space = parse_space(["seed=0,1", "b.c=[1, 2]", "~gone", "seed=3", "+new='x y'", "lr=0.1,0.2"])
    assert list(space.varied) == ["lr"]
    assert space.overrides({"lr": "0.2"}) == ["seed=3", "b.c=[1, 2]", "~gone", "+new='x y'", "lr=0.2"]


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["lr=tag(log,interval(0,1))"], r"lr=tag\(log,interval\(0,1\)\): .*low"),
        (["lr=interval(2,1)"], r"lr=interval\(2,1\): .*low"),
        (["lr=tag(lin,interval(0,1))"], "tag lin is not known: use log or int"),
        (["lr=tag(log,choice(1,2))"], "no meaning for a choice"),
        (["lr=tag(log,range(1,9,2))"], "step"),
        (["lr=tag(log,range(0.5,1,0.1))"], r"tag\(log,interval\(\.\.\)\)"),
        (["seed=0"], "nothing is varied"),
    ],
)
def test_what_cannot_be_is_refused_by_name(overrides, said):
    with pytest.raises(UserError, match=said):
        parse_space(overrides)


@given(st.floats(1e-6, 1), st.floats(1e-6, 1), st.floats(0, 1))
def test_rounded_values_are_short_and_within(low, high, share):
    low, high = min(low, high), max(low, high)
    value = min(max(low + share * (high - low), low), high)
    near = rounded(value, FloatDistribution(low, high))
    assert low <= near <= high
    assert near in (low, high) or near == float(f"{near:.4g}")
    assert near == pytest.approx(value, rel=1e-3)
    assert float(repr(near)) == near  # as it stands in an override


def test_steps_keep_their_digits():
    assert rounded(0.123456 + 1e-17, FloatDistribution(0, 1, step=0.000001)) == 0.123456
    assert rounded(0.1 + 0.2, FloatDistribution(0, 1, step=0.1)) == 0.3
