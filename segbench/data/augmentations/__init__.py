"""Random changes of training samples: the contract, the pipelines, and their transforms."""
