"""What maps say: where they agree and where their heat lies, the same in words (`sentences`), and
whether a map can be trusted (`trust`)."""
