"""The command line: `tocsin`. One module for each group of verbs; `program` puts them together."""

from tocsin.cli.program import main

__all__ = ["main"]
