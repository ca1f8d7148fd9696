"""`python -m automio` is the command `automio`."""

from automio.cli.app import main

if __name__ == "__main__":
    main()
