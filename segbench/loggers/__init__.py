"""Where curves and results go.

Each logger is made from the run directory and the resolved configuration, and has, besides Lightning's
methods, `record_result(summary)` for what a finished run has to show, and `close(failed)`. So nobody
has to ask which loggers there are.
"""
