"""Which way a metric is better: stated by itself, or by the configuration, never guessed."""

from functools import partial

import pytest
from omegaconf import OmegaConf

from segbench.errors import UserError
from segbench.metrics.configured import directions, functions
from segbench.metrics.direction import direction_of, larger_is_better, smaller_is_better
from segbench.metrics.surface import hd95

HD95 = {"_target_": "segbench.metrics.surface.hd95", "_partial_": True}
F1 = {"_target_": "segbench.metrics.objects.object_f1", "_partial_": True}
OWN = {"_target_": f"{__name__}.own", "_partial_": True}


def own(pair, scale=1.0):
    return scale * pair.n_pred


def config(classes=None, objects=None, **keys):
    return OmegaConf.create({"classes": classes or {}, "objects": objects or {}, **keys})


def test_a_function_states_its_direction_through_partials():
    assert direction_of(hd95) == "smaller"
    assert direction_of(partial(partial(hd95, mode="pooled"))) == "smaller"
    assert direction_of(larger_is_better(lambda pair: 1.0)) == "larger"
    assert direction_of(smaller_is_better(lambda pair: 1.0)) == "smaller"
    assert direction_of(own) is None


def test_a_metric_that_is_added_keeps_its_direction():
    added = config({"far": HD95}, {"object_f1": {**F1, "iou": [0.5, 0.55]}})
    assert directions(added) == {
        "classes": {"far": "smaller"},
        "objects": {"object_f1_50": "larger", "object_f1_55": "larger"},
        "probabilities": {},
    }
    assert list(functions(added, "objects")) == ["object_f1_50", "object_f1_55"]


def test_a_direction_is_given_for_a_function_that_has_none():
    ways = directions(
        config({"size": OWN, "half": {**OWN, "scale": 0.5}}, direction={"size": "smaller", "half": "larger"})
    )
    assert ways["classes"] == {"size": "smaller", "half": "larger"}


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        (
            config({"size": OWN}),
            "metrics.classes.size: not known whether larger or smaller is better; set the attr",
        ),
        (config({"size": OWN}), "or metrics.direction.size: smaller"),
        (config({"size": OWN}, direction={"size": "up"}), "metrics.direction.size=up: must be larger or smaller"),
        (config({"far": HD95}, direction={"far": "larger"}), "the metric itself says that smaller is better"),
        (
            config({"far": HD95}, direction={"fat": "larger"}),
            "direction.fat: there is no such metric; did you mean far",
        ),
        (config({"far": HD95}, {"far": F1}), "metrics.objects.far: metrics.classes has a metric of that name"),
        (
            config({}, {"f1": {**F1, "iou": []}}),
            "metrics.objects.f1.iou=[]: must be thresholds at least a",
        ),
        (
            config({}, {"f1": {**F1, "iou": [0.5, 0.501]}}),
            "iou=[0.5, 0.501]: must be thresholds",
        ),
        (config({}, {"f1": {**F1, "iou": ["half"]}}), "metrics.objects.f1"),
        (config({"size": 3}), "metrics.classes.size: is no function; give its _target_"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(metrics, message):
    with pytest.raises(UserError) as error:
        directions(metrics)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_two_entries_do_not_share_a_name():
    with pytest.raises(UserError, match=r"metrics\.objects\.f1: there is another metric 'f1_50'"):
        functions(config({}, {"f1_50": F1, "f1": {**F1, "iou": [0.5]}}), "objects")
