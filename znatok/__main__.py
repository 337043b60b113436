"""`python -m znatok` is `znatok`."""

from znatok.cli import main

main()
