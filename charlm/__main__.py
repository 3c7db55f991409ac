"""`python -m charlm`: what torchrun starts."""

from charlm.cli.app import main

if __name__ == "__main__":
    main()
