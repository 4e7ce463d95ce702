"""Heat in colour over a photo, and the files that such pictures are written to."""
