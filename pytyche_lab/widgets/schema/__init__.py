"""What crosses between Python and the browser: a module for each widget.

These types are the one source. ``python -m pytyche_lab.widgets.schema.typescript`` writes
``js/src/shared/schema``, a file for each module here, and a test fails when the files there are
others. Numbers are finite: what is not known is None, never NaN, which is no JSON.
"""
