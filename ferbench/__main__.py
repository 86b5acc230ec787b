"""``python -m ferbench``: the same as the ``ferbench`` command."""

from __future__ import annotations

import sys

from ferbench.cli import main

if __name__ == "__main__":
    sys.exit(main())
