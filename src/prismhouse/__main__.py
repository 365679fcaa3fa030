"""`python -m prismhouse` is the same program as the `prismhouse` script."""

from prismhouse.cli import main

if __name__ == "__main__":
    main()
