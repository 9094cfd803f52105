import pytest
import torch


@pytest.fixture
def any_algorithm():
    """Lets torch use its unpooling, also where a run before has asked for deterministic algorithms."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(False)
    yield
    torch.use_deterministic_algorithms(before)
