"""One forward pass, held open at a feature map, and the class activation maps made from it."""
