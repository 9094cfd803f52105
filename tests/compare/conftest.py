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


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """W&B keeps everything in the test's folder, and does not know who we are."""
    for name in ("WANDB_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR", "SEGBENCH_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setenv("WANDB_SILENT", "true")
