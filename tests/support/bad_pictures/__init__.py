"""Bad pictures, sent by accident or by attackers: what each is, and what its outcome must be.

All are made here, the same each time. They take little space in git, and most also as files.
"""
