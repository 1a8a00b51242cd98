"""What the YOLO family needs beside its adapter: the package itself, and its checkpoints."""
