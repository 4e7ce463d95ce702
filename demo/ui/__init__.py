"""The page's controls, texts and theme."""
