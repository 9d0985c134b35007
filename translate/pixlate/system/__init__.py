"""The operating system: cores, locks, signals, optional packages, printable text. Knows nothing about images."""
