"""What maps say: where networks agree, captions, and whether a map can be trusted."""
