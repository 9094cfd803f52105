"""From what a data set is (fingerprint) to how a network is trained on it (plan): no PyTorch, no images."""
