"""A plan that is being edited outlives its process: it is kept in the experiment's folder."""

from pytyche_engine.contracts.errors import DataNotice, DesignError, PytycheWarning, StoreError
from pytyche_engine.contracts.plans import Plan
from pytyche_engine.contracts.warn import warn
from pytyche_engine.experiment.draft import PlanDraft
from pytyche_engine.store.folder import ExperimentFolder, plan_checksum


def keep_draft(folder: ExperimentFolder, draft: PlanDraft, served: Plan) -> None:
    """Keep a draft while it differs from what the next round serves anyway.

    The edit was made all the same, so what cannot be written is a warning.

    Args:
        folder: of the experiment.
        draft: the draft; one of an earlier recommendation is not kept.
        served: what the next round serves.
    """
    if draft.is_current:
        _write(folder, None if draft.plan == served else draft.plan, draft.recommended)


def forget_draft(folder: ExperimentFolder, served: Plan) -> None:
    """Forget the draft of a round that has been served."""
    _write(folder, None, served)


def take_up_draft(folder: ExperimentFolder, draft: PlanDraft, name: str) -> None:
    """Go on with the plan that was being edited, if the folder has one.

    One that is damaged or does not fit any more is left out with a warning: the experiment is
    whole without it.

    Args:
        folder: of the experiment.
        draft: the draft as it is without it.
        name: of the experiment.
    """
    try:
        kept = folder.read_draft()
        if kept is None:
            return
        if kept.based_on != plan_checksum(draft.recommended):
            raise DesignError(
                "It was made from another plan than what is recommended for round "
                f"{draft.recommended.round_index + 1} now."
            )
        draft.take_up(kept.plan)
    except (StoreError, DesignError) as error:
        warn(
            f"'{name}' was left with a draft of a plan that is not used: {error} exp.draft starts "
            "from the plan of the next round, and its first edit replaces what was kept.",
            DataNotice,
        )


def _write(folder: ExperimentFolder, plan: Plan | None, recommended: Plan) -> None:
    try:
        folder.write_draft(plan, recommended)
    except StoreError as error:
        warn(f"{error} It is lost if this process ends before it is accepted.", PytycheWarning)
