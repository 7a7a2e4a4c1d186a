"""Sphinx reads this: ``make docs``."""

import sys
from importlib.metadata import version as installed
from pathlib import Path

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

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
html_math_renderer = "mathml"
html_copy_source = False


def _inline(self: HTML5Translator, node: nodes.math) -> None:
    self.body.append(tex2mathml(node.astext()))
    raise nodes.SkipNode


def _block(self: HTML5Translator, node: nodes.math_block) -> None:
    self.body.append(f"<div class='math'>{tex2mathml(node.astext(), as_block=True)}</div>")
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    """Formulas as MathML, which browsers draw by themselves: the pages need no network."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
