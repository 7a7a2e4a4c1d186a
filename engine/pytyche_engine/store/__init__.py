"""Experiments on disk: folders of rounds (`folder`), and the registry of them all (`registry`)."""
