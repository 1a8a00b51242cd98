"""What the adapters of the SAM families share."""
