"""`python -m gradcam_core`: the command line."""

import sys

from gradcam_core.cache_folders import ensure_cache_folders
from gradcam_core.errors import SettingsError
from gradcam_core.files import check_working_folder
from gradcam_core.library_variables import (
    check_variables_of_pytorch,
    leave_out_unusable_variables,
)
from gradcam_core.proxies import leave_out_unusable_proxies
from gradcam_core.terminal import make_printing_safe


def main() -> int:
    """The exit status."""
    make_printing_safe()
    for notice in [
        ensure_cache_folders(),
        *leave_out_unusable_proxies(),
        *leave_out_unusable_variables(),
    ]:
        if notice:
            print(notice, file=sys.stderr)
    try:
        check_working_folder()
        check_variables_of_pytorch()
        # Late: libraries read the folders as they are imported.
        from gradcam_core.cli.photo import main as run

        return run()
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130  # as a shell expects of a program that was interrupted


if __name__ == "__main__":
    sys.exit(main())
