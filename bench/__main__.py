"""`scalestudy`, the same as `python -m bench`."""

from bench.cli.app import main

if __name__ == "__main__":
    main()
