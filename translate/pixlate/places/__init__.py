"""Where files are: local folders, or what a plugin opens such as URLs, the walk through them, and the journal of an output folder. No PyTorch."""
