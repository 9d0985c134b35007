"""What the operating system grants: cores, locks, signals, optional packages, printable text. Knows nothing of images."""
