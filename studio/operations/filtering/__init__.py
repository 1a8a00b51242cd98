"""A collection of images by what they show: ranked by words and examples, sorted into classes, mapped.

``embedding`` gives each image a vector once; all else compares vectors, and no model looks at an image again.
"""
