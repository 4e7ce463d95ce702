"""The names of classes, their kinds in WordNet, and searching them."""
