"""`python -m outgrow`: the same as the command `outgrow`."""

from outgrow.cli import main

if __name__ == "__main__":
    main()
