"""Charts of plans, conclusions, calibration and rehearsals, as Altair charts.

Each has its numbers in ``chart.data``.
"""

from pytyche_lab.viz.arms import plot_arm_intervals as plot_arm_intervals
from pytyche_lab.viz.calibration import plot_calibration as plot_calibration
from pytyche_lab.viz.cells import plot_cells as plot_cells
from pytyche_lab.viz.drift import plot_drift as plot_drift
from pytyche_lab.viz.evolution import plot_evolution as plot_evolution
from pytyche_lab.viz.forest import plot_forest as plot_forest
from pytyche_lab.viz.interim import plot_interim as plot_interim
from pytyche_lab.viz.love import plot_love as plot_love
from pytyche_lab.viz.policy_tree import plot_policy_tree as plot_policy_tree
from pytyche_lab.viz.rehearsal import plot_rehearsal as plot_rehearsal
from pytyche_lab.viz.segments import plot_segment_intervals as plot_segment_intervals
from pytyche_lab.viz.truth import plot_truth as plot_truth
