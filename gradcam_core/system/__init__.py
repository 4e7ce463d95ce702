"""Everything that depends on the operating system: files, locks, memory, child processes, the
terminal, and the environment variables that a program starts with."""
