"""`python -m sageturner_magic`: the `sageturner` command."""

import sys

from sageturner_magic.cli import main

sys.exit(main())
