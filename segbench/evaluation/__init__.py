"""Scores, pictures and costs of predictions."""
