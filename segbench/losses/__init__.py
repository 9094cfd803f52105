"""Losses that no maintained library has with ignored pixels, and what fits the libraries' own in.

Every loss takes raw logits (B, K, *P) in float32 and a target (B, *P) of class indices, 255 = ignore, and returns a
scalar; P may be a single pixel. Some also take weights of the pixels (B, *P): `segbench.losses.pixel_weight`. Ignored
pixels count as if they were cut out; a batch of nothing else has the loss and the gradient 0.

Many also take a target of overlapping regions (B, K, *P): a channel of 0 and 1 for each, 255 = ignore. The probability
of a region is the sigmoid of its own logit, and all regions count alike: `segbench.losses.regions`.
"""
