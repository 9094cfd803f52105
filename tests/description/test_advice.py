"""Advice for what does not fit: each change makes a step smaller, and the last one makes it fit."""

from segbench.description.advice import advise
from segbench.description.network import Network
from tests.made_runs import configure

SMALL = ("model=unet", "model.channels=[4,8,16,32]", "dims=2", "patch=[32,32]", "batch=4")


def peak(*overrides):
    network = Network(configure(*overrides, command="describe"))
    return network.memory(network.input.patch, network.input.batch).peak


def test_what_fits_needs_no_advice():
    advice = advise(configure(*SMALL, command="describe"), 1e9)
    assert (advice.fits, advice.changes) == (True, ())
    assert advice.peak == peak(*SMALL)


def test_changes_are_made_until_it_fits():
    whole, share = peak(*SMALL), 0.4
    advice = advise(configure(*SMALL, command="describe"), share * whole)
    peaks = [whole, *(needed for _, needed in advice.changes)]
    assert advice.fits
    assert peaks == sorted(peaks, reverse=True)
    assert peaks[-1] <= share * whole < peaks[-2]
    # The changes as they are typed give the step that was promised.
    settings = dict(one.split("=", 1) for one in (*SMALL, *(change for change, _ in advice.changes)))
    assert peak(*(f"{key}={value}" for key, value in settings.items())) == peaks[-1]


def test_what_cannot_fit_is_said():
    advice = advise(configure(*SMALL, command="describe"), 1000.0)
    assert not advice.fits
    assert any(change.startswith("patch=") for change, _ in advice.changes)
