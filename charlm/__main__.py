"""`python -m charlm`: the same as `charlm`."""

from charlm.cli.app import main

if __name__ == "__main__":
    main()
