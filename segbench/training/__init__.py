"""A run in memory: data, network and objective put together and trained."""
