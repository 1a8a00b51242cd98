"""The verbs: what a person or a program can ask the studio to do. Nothing here knows of Gradio."""
