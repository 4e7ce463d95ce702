"""The page over `gradcam_core`: computing, server, API, layout and scripts."""
