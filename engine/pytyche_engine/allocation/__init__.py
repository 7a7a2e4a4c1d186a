"""What the next round serves."""

from pytyche_engine.allocation.design import Design as Design
from pytyche_engine.allocation.design import check_design as check_design
from pytyche_engine.allocation.next_plan import check_floors as check_floors
from pytyche_engine.allocation.next_plan import cold_start as cold_start
from pytyche_engine.allocation.next_plan import override as override
from pytyche_engine.allocation.next_plan import plan_notices as plan_notices
from pytyche_engine.allocation.next_plan import propose as propose
from pytyche_engine.allocation.schedules import ExplicitSchedule as ExplicitSchedule
from pytyche_engine.allocation.schedules import FixedSchedule as FixedSchedule
from pytyche_engine.allocation.schedules import GeometricSchedule as GeometricSchedule
from pytyche_engine.allocation.schedules import Schedule as Schedule
from pytyche_engine.allocation.schedules import schedule as schedule
from pytyche_engine.allocation.thompson import thompson_shares as thompson_shares
