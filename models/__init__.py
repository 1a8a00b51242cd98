"""One file a family of models: adapter classes and the CARDS that describe them."""
