"""The JSON API under ``/api/v1``: the verbs of predictions and jobs, for programs."""

from studio.rest.api import PREFIX, api

__all__ = ["PREFIX", "api"]
