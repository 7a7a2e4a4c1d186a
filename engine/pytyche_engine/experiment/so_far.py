"""What an experiment is and has found so far."""

from pytyche_engine.allocation import Design
from pytyche_engine.calibration import CalibrationArtifact, Scope, scope_of
from pytyche_engine.contracts.actions import Action
from pytyche_engine.contracts.classic_check import ClassicCheck
from pytyche_engine.contracts.decisions import GraduationCandidate
from pytyche_engine.contracts.labels import Labels
from pytyche_engine.contracts.plans import Plan
from pytyche_engine.experiment import narration
from pytyche_engine.experiment.classic_check import classic_check
from pytyche_engine.experiment.evidence import CandidateCache
from pytyche_engine.experiment.round import Round
from pytyche_engine.experiment.state import State, remembered
from pytyche_engine.store.spec import ExperimentSpec


class ExperimentSoFar:
    """All that can be read of an experiment, at any time and from any thread.

    What changes it is `sequential.SequentialExperiment`'s. The state is replaced as a whole, so
    reading takes no lock.
    """

    def __init__(self, spec: ExperimentSpec) -> None:
        self._spec = spec
        self._state = State(spec.design, spec.design.first_plan)
        self._candidate_cache = CandidateCache()

    @property
    def name(self) -> str:
        """The experiment's name."""
        return self._spec.labels.name

    @property
    def design(self) -> Design:
        """What was fixed at construction."""
        return self._spec.design

    @property
    def labels(self) -> Labels:
        """Name, metric and currency."""
        return self._spec.labels

    @property
    def calibration(self) -> tuple[CalibrationArtifact, ...]:
        """The artifacts that rounds are recalibrated with."""
        return self._spec.calibration

    @property
    def scope(self) -> Scope:
        """What calibration depends on, of the visitors so far or the plan for the first."""
        state, spec = self._state, self._spec
        seen = [s.observations for s in remembered(state.served, state.remembered_from)]
        if seen:
            return scope_of(seen, spec.labels.metric, spec.settings)
        return Scope(
            len(self.design.arms), spec.labels.metric, state.plan.n_visitors, None, spec.settings
        )

    @property
    def plan(self) -> Plan:
        """What the next round serves."""
        return self._state.plan

    @property
    def history(self) -> tuple[Round, ...]:
        """Finished rounds, oldest first."""
        return self._state.rounds

    @property
    def latest(self) -> Round | None:
        """The last finished round."""
        return self._state.latest

    @property
    def current_round_idx(self) -> int:
        """How many rounds are finished; the index of the next one."""
        return len(self._state.rounds)

    @property
    def next_recommendation(self) -> Plan:
        """The plan that the latest round proposes, or the cold start."""
        latest = self.latest
        return self.design.first_plan if latest is None else latest.next_recommendation

    @property
    def seen_visitors(self) -> set[str]:
        """Ids of all visitors so far."""
        return {i for s in self._state.served for i in s.observations.visitor_id}

    @property
    def actions(self) -> tuple[Action, ...]:
        """What the operator decided beside plans, in order."""
        return self._state.actions

    def graduation_candidates(
        self, sustained_rounds: int | None = None
    ) -> tuple[GraduationCandidate, ...]:
        """(Treatment, segment) pairs whose evidence held over consecutive rounds."""
        return self._candidates(self._state, sustained_rounds)

    def has_graduation_candidate(self) -> bool:
        """Whether any pair is ready to ship under the experiment's rule."""
        return bool(self.graduation_candidates())

    def has_credible_segments(self, stability: float = narration.CREDIBLE_STABILITY) -> bool:
        """Whether a segment of the latest round is stable and responds."""
        latest = self.latest
        return latest is not None and bool(narration.credible_segments(latest, stability))

    def classic(
        self,
        round_number: int | None = None,
        *,
        alpha: float = 0.05,
        relative_mde: float | None = None,
    ) -> ClassicCheck:
        """A round by classical tests, beside the model's lifts; see `classic_check`."""
        return classic_check(self.history, round_number, alpha=alpha, relative_mde=relative_mde)

    @property
    def confidence(self) -> str:
        """``"high"``, ``"medium"`` or ``"low"``; see `narration.confidence`."""
        state = self._state
        return narration.confidence(state.rounds, self._candidates(state))

    @property
    def summary(self) -> str:
        """The experiment so far in a few paragraphs."""
        state = self._state
        return narration.summary(state.rounds, self._candidates(state), state.plan)

    def _candidates(
        self, state: State, sustained_rounds: int | None = None
    ) -> tuple[GraduationCandidate, ...]:
        return self._candidate_cache.candidates(
            state, self._spec.graduation_rule, self.labels.currency, sustained_rounds
        )
