"""Model files from the Hugging Face hub: what is here, what can be fetched, and fetching it."""

from studio.hub.hub import Hub, NeedsDownload

__all__ = ["Hub", "NeedsDownload"]
