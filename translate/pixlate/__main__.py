"""``python -m pixlate`` is ``pixlate``; here, too, so that Ctrl-C while the command line is imported leaves no traceback."""

import sys


def main() -> int:
    """Run the command line; return the exit code."""
    try:
        from pixlate.cli import main as run

        return run()
    except KeyboardInterrupt:
        print("pixlate: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
