"""Losses that no maintained library has with ignored pixels, and what fits the libraries' own in.

Every loss takes raw logits (B, K, *P) and a target (B, *P) of class indices, 255 = ignore, and returns a
scalar. Ignored pixels count as if they were cut out; a batch of nothing else has the loss and the gradient 0.
"""
