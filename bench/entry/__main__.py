"""`python -m scalestudy`, the same as the command."""

from bench.cli.app import main

main()
