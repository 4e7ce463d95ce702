"""Files of pictures put together byte by byte, as no encoder would write them."""
