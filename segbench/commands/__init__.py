"""The commands: one file each, and what a person sees of them in a terminal."""
