"""The report of a batch: `write.py` writes it, `columns.py` makes what it is sorted
and filtered by."""
