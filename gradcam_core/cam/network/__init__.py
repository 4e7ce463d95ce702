"""What a network may be, is given and gives, and how a pass of ours leaves it as it was."""
