"""What Pillow does not do with WebP: its size before it is decoded, and decoding it smaller."""
