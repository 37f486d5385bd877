"""The report of a run: one page that needs nothing else, a model card, and a picture."""
