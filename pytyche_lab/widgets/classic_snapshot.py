"""A round by classical tests, as the plain JSON values that stand beside the model's lifts."""

from collections.abc import Sequence

from pytyche_engine.contracts import DesignError
from pytyche_engine.contracts.classic_check import ClassicRow
from pytyche_engine.contracts.money import signed
from pytyche_engine.contracts.tables import Table
from pytyche_engine.experiment import Round
from pytyche_lab.widgets.schema.round_dashboard import ClassicView
from pytyche_lab.widgets.values import arm_ref, finite, interval


def classic_view(rounds: Sequence[Round]) -> ClassicView:
    """What `exp.classic()` says of the last of these rounds, on the metric of the model's lifts.

    Args:
        rounds: the experiment's rounds from the first on.
    """
    # The tests and what they import take a second, so they wait until somebody asks.
    from pytyche_engine.experiment.classic_check import classic_check

    try:
        check = classic_check(rounds)
    except DesignError as error:
        return {"level": 0.95, "lifts": [], "problem": str(error)}
    first: dict[str, ClassicRow] = {}
    for row in check.rows:
        first.setdefault(row.treatment, row)  # revenue, or conversion where there is no revenue
    return {
        "level": 1 - check.alpha,
        "lifts": [
            {
                "arm": arm_ref(row.treatment, rounds[-1].plan.arms),
                "lift": interval(row.lift),
                "p_value": finite(row.p_value),
                "p_adjusted": finite(row.p_value_adjusted),
                "n_control": row.control_n,
                "n_treatment": row.treatment_n,
            }
            for row in first.values()
        ],
        "problem": "",
    }


def classic_table(view: ClassicView, control: str) -> Table:
    """The same as a table, for where widgets cannot run."""
    rows = [
        (
            f"{found['arm']['name']} vs {control}",
            f"{found['n_control']:,} + {found['n_treatment']:,}",
            f"{signed(found['lift']['mean'])} "
            f"[{signed(found['lift']['low'])}, {signed(found['lift']['high'])}]",
            "N/A" if found["p_value"] is None else f"{found['p_value']:.4f}",
            "N/A" if found["p_adjusted"] is None else f"{found['p_adjusted']:.4f}",
        )
        for found in view["lifts"]
    ]
    level = f"{100 * view['level']:.10g}%"
    columns = ("classical test", "visitors", f"lift, this round ({level} CI)", "p", "p (Holm)")
    return Table(columns, rows)
