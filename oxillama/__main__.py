"""`python -m oxillama` is the `oxillama` command."""

from oxillama.cli import main

if __name__ == "__main__":
    main()
