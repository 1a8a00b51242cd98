"""What the no-download segmenter is made of: boundaries, regions, proposals, their ranking, refinement."""
