"""python -m postconnector: the same as the command postconnector."""

import sys

from postconnector.cli.main import main

sys.exit(main())
