"""Networks: an image batch in, one tensor of logits (or a list of them) per head out."""
