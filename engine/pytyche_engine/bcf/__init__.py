"""The joint hurdle BCF: fit, posterior, convergence."""

from pytyche_engine.bcf.fit import fit as fit
from pytyche_engine.bcf.posterior import Posterior as Posterior
from pytyche_engine.bcf.settings import Settings as Settings
