"""Pictures as nobody sends them on purpose, but for those who do: what each is, and what must come
of it.

Every one is made here, the same each time. None is large in git, and hardly any as a file.
"""
