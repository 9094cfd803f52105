"""A valid configuration: its keys, its id, its name, and how it is composed."""
