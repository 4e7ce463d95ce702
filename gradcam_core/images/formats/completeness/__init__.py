"""Whether a file has all of its picture, or was cut off."""
