"""Measurements behind the figures of the documentation. Each prints the versions and the machine it ran on."""
