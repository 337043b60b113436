"""The original command: `python chat.py [--use_lora] [--lora_path D] [--model_name M]`, weights only."""

import sys

from znatok.cli import main

if __name__ == "__main__":
    main(["chat-original", *sys.argv[1:]])
