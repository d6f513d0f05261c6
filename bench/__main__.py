"""Runs every bench, or those named: `python -m bench rendering up`."""

import sys

from bench import rendering, up

BENCHES = {"rendering": rendering.main, "up": up.main}


def main() -> int:
    chosen = sys.argv[1:] or list(BENCHES)
    for name in chosen:
        print(f"## {name}", flush=True)
        BENCHES[name]()
        print(flush=True)
    return 0


sys.exit(main())
