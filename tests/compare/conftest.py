import pytest


@pytest.fixture
def frame():
    """Two methods, two classes, three cases, two seeds: a score is method + class/10 + case/100 + seed/1000."""
    import pandas as pd

    rows = [
        {"method": method, "class": label, "case": case, "seed": seed, "metric": "dice", "dataset": "d"}
        | {"value": base + k / 10 + case / 100 + seed / 1000}
        for method, base in (("good", 0.5), ("bad", 0.3))
        for k, label in enumerate(("a", "b"))
        for case in range(3)
        for seed in range(2)
    ]
    return pd.DataFrame(rows)
