"""Charts of plans, conclusions, calibration and rehearsals, as Altair charts."""

from pytyche_lab.viz.calibration import plot_calibration as plot_calibration
from pytyche_lab.viz.cells import plot_cells as plot_cells
from pytyche_lab.viz.forest import plot_forest as plot_forest
from pytyche_lab.viz.love import plot_love as plot_love
from pytyche_lab.viz.rehearsal import plot_rehearsal as plot_rehearsal
from pytyche_lab.viz.segments import plot_segment_intervals as plot_segment_intervals
