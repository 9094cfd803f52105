"""Explanations of a network's decision: where it looked, and which of its filters decided."""
