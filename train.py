"""The original command: `python train.py --csv_file F [--num_rows N] [--output_dir D]`; takes every `train` setting."""

import sys

from znatok.cli import main

if __name__ == "__main__":
    main(["train", *sys.argv[1:]])
