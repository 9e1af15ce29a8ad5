"""`python -m tidemill_consumers.executors MODULE:APP DESCRIPTOR DESCRIPTOR`: a child process, started by its worker."""

from __future__ import annotations

import sys

from tidemill.errors import InvalidInput
from tidemill_consumers.executors.child import main

if __name__ == "__main__":
    try:
        main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    except InvalidInput as error:
        sys.exit(f"Error: {error}")
