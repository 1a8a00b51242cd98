"""Model files from the Hugging Face hub: what is here, what can be fetched, and fetching it."""

from studio.hub.hub import Hub, NeedsDownload
from studio.hub.tokens import Gated

__all__ = ["Gated", "Hub", "NeedsDownload"]
