"""The command, as `process-monitor` and as `python -m app`, which needs no installed script."""

import gc


def main() -> None:
    """Loads the command and runs it.

    The collector waits meanwhile: it would look again and again through what is loaded, of which
    nothing is garbage, and a start take longer.
    """
    gc.disable()
    from app.cli import main as run

    gc.enable()
    run()


if __name__ == "__main__":
    main()
