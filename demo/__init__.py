"""The page for `gradcam_core`: computing, server, API, layout and scripts."""
