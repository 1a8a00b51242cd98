"""How images come in: guarded decoding, zip archives, addresses and Hugging Face datasets."""
