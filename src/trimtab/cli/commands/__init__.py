"""One module a command: `add_arguments(parser)` and `run(args) -> exit code`.

A module is imported only when its command was typed, so that none pays for another's imports.
"""
