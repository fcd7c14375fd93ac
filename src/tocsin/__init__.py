"""Tocsin: a self-hosted incident service. Start reading at ARCHITECTURE.md."""

__version__ = "0.1.0"
