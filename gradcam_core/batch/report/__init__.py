"""The report of a batch: `write.py` writes it, `columns.py` makes the columns by which it is sorted
and filtered."""
