"""Picture files assembled byte by byte, as no encoder would write them."""
