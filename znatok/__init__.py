"""znatok turns a table of questions and answers into a small chat model that provably knows it."""

__version__ = "0.1.0"
