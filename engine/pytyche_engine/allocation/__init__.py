"""What the next round serves."""

from pytyche_engine.allocation.code import plan_code as plan_code
from pytyche_engine.allocation.design import Design as Design
from pytyche_engine.allocation.design import check_design as check_design
from pytyche_engine.allocation.dropping import ArmEvidence as ArmEvidence
from pytyche_engine.allocation.dropping import arms_to_drop as arms_to_drop
from pytyche_engine.allocation.dropping import arms_to_revive as arms_to_revive
from pytyche_engine.allocation.edit import Floors as Floors
from pytyche_engine.allocation.next_plan import check_dropped as check_dropped
from pytyche_engine.allocation.next_plan import check_floors as check_floors
from pytyche_engine.allocation.next_plan import cold_start as cold_start
from pytyche_engine.allocation.next_plan import override as override
from pytyche_engine.allocation.next_plan import propose as propose
from pytyche_engine.allocation.preview import CellPreview as CellPreview
from pytyche_engine.allocation.preview import PlanPreview as PlanPreview
from pytyche_engine.allocation.preview import SeenVisitors as SeenVisitors
from pytyche_engine.allocation.preview import preview as preview
from pytyche_engine.allocation.schedules import ExplicitSchedule as ExplicitSchedule
from pytyche_engine.allocation.schedules import FixedSchedule as FixedSchedule
from pytyche_engine.allocation.schedules import GeometricSchedule as GeometricSchedule
from pytyche_engine.allocation.schedules import Schedule as Schedule
from pytyche_engine.allocation.schedules import schedule as schedule
from pytyche_engine.allocation.shares import allocation_shares as allocation_shares
from pytyche_engine.allocation.shares import exploration_shares as exploration_shares
from pytyche_engine.allocation.shares import thompson_shares as thompson_shares
from pytyche_engine.allocation.shares import top_two_shares as top_two_shares
