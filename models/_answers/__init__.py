"""How the texts that models write are read: by the rules of each family, and never so that one of them fails.

Whatever cannot be read as a place stays text. Each reader runs in a time that grows with the length of the text.
"""
