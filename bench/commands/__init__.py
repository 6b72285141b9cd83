"""``python -m bench``: what each of the smaller commands takes, and what becomes of it.

Each module has ``add_arguments``, which adds a subcommand and sets ``execute`` to what runs it.
What is heavy is imported when it runs.
"""
