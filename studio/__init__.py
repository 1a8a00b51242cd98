"""Onelabel Studio: label one, get the rest. Importing this loads neither torch nor gradio."""

from __future__ import annotations

__version__ = "0.1.0"
