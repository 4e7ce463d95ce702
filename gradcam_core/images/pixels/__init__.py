"""The pixels of a decoded picture: their range of brightness, their colours, their orientation."""
