from znatok.cli import main

main()
