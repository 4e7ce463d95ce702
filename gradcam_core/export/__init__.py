"""Files made of explanations: the labelled figure, overlays, heatmaps, records."""
