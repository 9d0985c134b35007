"""Generators and discriminators: modules that know nothing of devices, options or files."""
