"""`python -m gradcam_core`: the command line."""

import sys

from gradcam_core.cli.photo import main

if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)  # as a shell expects of a program that was interrupted
