"""What this program and the operating system settle between them: files, locks, memory, child
processes, the terminal, and the environment that a program starts in."""
