"""How older databases become what schema.py says; run at start by the store."""
