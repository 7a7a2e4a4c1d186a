"""Charts of plans and conclusions, as Altair charts."""

from pytyche_lab.viz.cells import plot_cells as plot_cells
from pytyche_lab.viz.forest import plot_forest as plot_forest
from pytyche_lab.viz.love import plot_love as plot_love
from pytyche_lab.viz.segments import plot_segment_intervals as plot_segment_intervals
