"""`python -m gerbang` is `gerbang`."""

from gerbang.cli import main

if __name__ == "__main__":
    main(prog_name="gerbang")
