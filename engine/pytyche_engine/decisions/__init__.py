"""What a round's draws allow to conclude."""

from pytyche_engine.decisions.balance import covariate_balance as covariate_balance
from pytyche_engine.decisions.cells import CellGroups as CellGroups
from pytyche_engine.decisions.cells import cell_groups as cell_groups
from pytyche_engine.decisions.cells import observe_cells as observe_cells
from pytyche_engine.decisions.contrasts import compare_arms as compare_arms
from pytyche_engine.decisions.converters import converters_by_segment as converters_by_segment
from pytyche_engine.decisions.crosscheck import cross_check_arms as cross_check_arms
from pytyche_engine.decisions.crosscheck import cross_check_cells as cross_check_cells
from pytyche_engine.decisions.crosscheck import weighted_estimate as weighted_estimate
from pytyche_engine.decisions.drift import lift_drift as lift_drift
from pytyche_engine.decisions.graduation import ExpectedLossRule as ExpectedLossRule
from pytyche_engine.decisions.graduation import RoundEvidence as RoundEvidence
from pytyche_engine.decisions.graduation import graduation_candidates as graduation_candidates
from pytyche_engine.decisions.graduation import lacking as lacking
from pytyche_engine.decisions.graduation import require_claim as require_claim
from pytyche_engine.decisions.recommendation import most_promising as most_promising
from pytyche_engine.decisions.recommendation import recommend as recommend
from pytyche_engine.decisions.recommendation import (
    value_of_one_more_round as value_of_one_more_round,
)
from pytyche_engine.decisions.severity_check import check_severity as check_severity
from pytyche_engine.decisions.traffic import traffic_over_rounds as traffic_over_rounds
from pytyche_engine.decisions.traffic import traffic_split as traffic_split
from pytyche_engine.decisions.truth import compare_with_truth as compare_with_truth
from pytyche_engine.decisions.verdicts import Horizon as Horizon
from pytyche_engine.decisions.verdicts import judge as judge
