"""RITM and ClickSEG: the networks and the pipelines around them, written anew to load the published checkpoints."""
