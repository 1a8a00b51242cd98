"""The demo checkpoints: how each is trained on the drawn scenes, and how good it is on unseen ones."""
