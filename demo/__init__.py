"""The page: layout, events, theme and texts over `gradcam_core`."""
