"""The comparison on paper: tables, figures, the page, and its upload."""
