"""segbench from Python: the commands as functions."""
