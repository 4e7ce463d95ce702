"""Colours and fonts. All fonts are the system's, because the page contacts no other host."""

from __future__ import annotations

import gradio as gr

SANS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif")
MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")

theme = gr.themes.Default(
    primary_hue=gr.themes.colors.indigo,
    neutral_hue=gr.themes.colors.slate,
    radius_size=gr.themes.sizes.radius_lg,
    # Gradio's medium letters, which follow the size that a visitor has chosen.
    text_size=gr.themes.Size(
        name="text_rem",
        xxs="0.5625rem",
        xs="0.625rem",
        sm="0.75rem",
        md="0.875rem",
        lg="1rem",
        xl="1.375rem",
        xxl="1.625rem",
    ),
    font=list(SANS),
    font_mono=list(MONO),
).set(
    body_background_fill="*neutral_50",
    body_background_fill_dark="*neutral_950",
    # The default is hard to read in the light theme: its contrast is 2.6 to 1.
    body_text_color_subdued="*neutral_600",
    block_info_text_color="*neutral_600",
    link_text_color_dark="*primary_300",
    link_text_color_hover_dark="*primary_200",
    link_text_color_visited_dark="*primary_300",
    block_shadow="none",
    block_shadow_dark="none",
)
