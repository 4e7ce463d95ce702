"""From a request to an explanation: its record, the pass held open that answers it, the record of
the result, and `explain.py`, which joins the steps for a person."""
