"""Answers images over HTTP (extra ``[serve]``)."""
