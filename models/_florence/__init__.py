"""What Florence-2 is asked for, and how sure it was of where."""
