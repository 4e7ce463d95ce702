"""`python -m gradcam_core`: the command line."""

import sys

from gradcam_core.errors import SettingsError
from gradcam_core.system.files import check_working_folder
from gradcam_core.system.library_variables import check_variables_of_pytorch
from gradcam_core.system.memory import no_memory_sentence
from gradcam_core.system.start import prepare_process


def main() -> int:
    """The exit status."""
    prepare_process()
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
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("gradcam_core"):
            raise
        advice = "Try: pip install -r requirements.txt"
        print(f"The package {error.name} is not installed. {advice}", file=sys.stderr)
        return 1
    except (MemoryError, ImportError, OSError, RuntimeError) as error:
        if not (sentence := no_memory_sentence(error)):
            raise
        print(sentence, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
