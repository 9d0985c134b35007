"""Where files are: local folders and URLs, the walk through them, and the journal of an output folder. No PyTorch."""
