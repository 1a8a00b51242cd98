"""One file a step, numbered; its number is its revision."""
