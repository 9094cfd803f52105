"""The page of a comparison: its sections, their tables, and the HTML that they are made of."""
