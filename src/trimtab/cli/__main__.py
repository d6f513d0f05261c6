"""`python -m trimtab.cli`, for where the console script is not on PATH."""

import sys

from trimtab.cli.main import main

sys.exit(main())
