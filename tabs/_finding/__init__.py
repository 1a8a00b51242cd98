"""What the tabs share that find things: one image with its findings, many images as jobs, models, and settings.

A tab gives every part the prefix of its ids, so that several stand on one page.
"""
