"""The one place that imports private names of bartz.

Everything here was read in bartz 0.13.0; the dependency's range in ``pyproject.toml`` is what
CI ran. What each name does, in bartz's own vocabulary:

- ``propose_moves``: draw a grow or prune for every tree of a forest-like object.
- ``complete_ratio``: finish the transition x prior part of the Metropolis-Hastings ratio.
- ``adapt_leaf_trees_to_grow_indices``: copy a leaf's value to the children it may get.
- ``apply_moves_to_leaf_indices``: fold the last sweep's pending prunes into leaf indices.
- ``apply_grow_to_indices``: move rows to the proposed children.
- ``shard_map_state``: run a step on every device's own rows, where there is a mesh;
  ``partition_specs``: how a state's arrays are spread over it.
- ``apply_moves_to_split_trees``, ``apply_moves_to_affluence_trees``: settle the outcome.
"""

from bartz._jaxext import Module as Module
from bartz._jaxext import field as field
from bartz.mcmcloop import run_mcmc as run_mcmc
from bartz.mcmcloop._trace import Trace as Trace
from bartz.mcmcstep import AutoBatchedReduction as AutoBatchedReduction
from bartz.mcmcstep import StepConfig as StepConfig
from bartz.mcmcstep._moves import Moves as Moves
from bartz.mcmcstep._moves import propose_moves as propose_moves
from bartz.mcmcstep._state import partition_specs as partition_specs
from bartz.mcmcstep._state import shard_map_state as shard_map_state
from bartz.mcmcstep._step import (
    adapt_leaf_trees_to_grow_indices as adapt_leaf_trees_to_grow_indices,
)
from bartz.mcmcstep._step import apply_grow_to_indices as apply_grow_to_indices
from bartz.mcmcstep._step import (
    apply_moves_to_affluence_trees as apply_moves_to_affluence_trees,
)
from bartz.mcmcstep._step import apply_moves_to_leaf_indices as apply_moves_to_leaf_indices
from bartz.mcmcstep._step import apply_moves_to_split_trees as apply_moves_to_split_trees
from bartz.mcmcstep._step import complete_ratio as complete_ratio
from bartz.mcmcstep._step import sum_resid as sum_resid
