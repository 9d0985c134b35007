"""The tab Draw: strokes on a canvas become a picture, after each stroke."""

import json
from html import escape

import gradio as gr

from pixlate.inference.ready import cards
from pixlate_web.drawing import drawing_models


def draw_tab() -> None:
    """Add the tab to the page that is being built."""
    models = [(name, cards()[name].summary) for name in drawing_models()]
    if models:
        gr.HTML(f'<pixlate-draw data-models="{escape(json.dumps(models))}"></pixlate-draw>', apply_default_css=False)
    else:
        gr.HTML('<p class="px-note">No drawing model is installed.</p>')
