"""From a request to an explanation: the record of the request, the open pass that answers it, the
record of the result, and `explain.py`, which joins these steps."""
