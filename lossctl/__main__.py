"""`python -m lossctl` is the same program as the `lossctl` script."""

from lossctl.cli import main

if __name__ == "__main__":
    main()
