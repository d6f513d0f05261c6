"""The command line. Imports lazily, does no work of its own."""

from trimtab.cli.main import main

__all__ = ["main"]
