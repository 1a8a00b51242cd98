"""Matting without a network: solved where a trimap is unknown, on large images coarse to fine."""
