"""Generators and discriminators: modules that know nothing about devices, options or files."""
