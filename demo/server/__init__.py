"""What answers the page: its stream, its files, and who may ask for what."""
