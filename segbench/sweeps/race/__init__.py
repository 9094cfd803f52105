"""A race: a sweep that stops methods as soon as it is known how they compare."""
