"""`python -m scalestudy`, the same as the command."""

from scalestudy import main

main()
