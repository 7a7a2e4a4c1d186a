"""Sphinx reads this: ``make docs``."""

import sys
from importlib.metadata import version as installed
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent)]

import made  # noqa: E402 - it lies beside this file

made.everything()

project = "pytyche-lab"
release = installed("pytyche-lab")
author = "The pytyche-lab authors"
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
]
exclude_patterns = [f"made/{part}.md" for part in made.INCLUDED]
html_theme = "furo"
html_title = f"pytyche-lab {release}"
# Notebooks are shown as they were saved; the tests run them.
nb_execution_mode = "off"
myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3
# `name` in a docstring is code, which need not be a page of these docs.
default_role = "code"
autosummary_generate = False
autodoc_typehints = "none"
napoleon_google_docstring = True
napoleon_use_ivar = True
# Shapes such as "*streams periods" are no markup.
napoleon_attr_annotations = False
python_display_short_literal_types = True
# Pages of others: a machine without a network must be able to check the rest.
linkcheck_timeout = 10
linkcheck_retries = 1
linkcheck_ignore = [r"http://localhost.*"]
