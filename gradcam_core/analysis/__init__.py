"""What maps say: where they agree and where their heat lies, what is said of that (`sentences`),
and whether a map can be trusted (`trust`)."""
