"""The Python that makes a plan, for a notebook where ``pt`` is pytyche_lab."""

from collections.abc import Iterator, Mapping

from pytyche_engine.contracts.cells import Cell
from pytyche_engine.contracts.errors import DesignError
from pytyche_engine.contracts.plans import Plan
from pytyche_engine.contracts.policies import (
    BaselinePolicy,
    MixPolicy,
    Policy,
    TreePolicy,
    UniformPolicy,
)
from pytyche_engine.contracts.rules import Rule, Threshold

_INDENT = "    "


def plan_code(plan: Plan, recommended: Plan, *, experiment: str = "exp") -> str:
    """Python statements that accept exactly this plan.

    What is as recommended is taken from the recommendation; everything else is written out.

    Args:
        plan: the plan.
        recommended: what ``exp.next_recommendation`` is.
        experiment: the name of the experiment's variable.
    """
    then = {cell.id: cell for cell in recommended.cells}
    lines = [f"# Round {plan.round_index + 1}: the cells that were chosen"]
    if plan == recommended:
        return "\n".join([*lines, f"{experiment}.accept({experiment}.next_recommendation.cells)"])
    body = [line for cell in plan.cells for line in _cell(cell, then)]
    if any("recommended[" in line for line in body):
        cells = f"{experiment}.next_recommendation.cells"
        lines.append(f"recommended = {{cell.id: cell for cell in {cells}}}")
    return "\n".join([*lines, f"{experiment}.accept([", *body, "])"])


def _cell(cell: Cell, then: Mapping[str, Cell]) -> Iterator[str]:
    known = then.get(cell.id)
    if cell == known:
        yield f"{_INDENT}recommended[{cell.id!a}],"
        return
    policy = cell.policy
    if _is_hypothesis(cell) and isinstance(policy, MixPolicy):
        yield f"{_INDENT}pt.hypothesis_cell("
        yield f"{_INDENT * 2}{cell.id!a},"
        yield f"{_INDENT * 2}{_rule(policy.rule)},"
        yield f"{_INDENT * 2}{_mix(policy.shares)},"
        yield f"{_INDENT * 2}weight={cell.weight!r},"
        if policy.otherwise is not None:
            yield f"{_INDENT * 2}otherwise={_mix(policy.otherwise)},"
        yield f"{_INDENT}),"
        return
    yield f"{_INDENT}pt.Cell({cell.id!a}, {_policy(policy, then)}, {cell.weight!r}),"


def _is_hypothesis(cell: Cell) -> bool:
    """Whether `hypothesis_cell` makes the same cell."""
    policy = cell.policy
    return (
        cell.role == "hypothesis"
        and cell.id == cell.id.strip()
        and cell.weight > 0
        and isinstance(policy, MixPolicy)
        and (policy.otherwise is None or bool(policy.rule.clauses))
    )


def _policy(policy: Policy, then: Mapping[str, Cell]) -> str:
    for name, cell in then.items():
        if policy == cell.policy:
            return f"recommended[{name!a}].policy"
    if isinstance(policy, TreePolicy):
        for name, cell in then.items():
            if (start := _same_segments(policy, cell.policy)) is not None:
                changed = "".join(
                    f".with_shares({new.segment!a}, {_mix(new.shares)})"
                    for new, old in zip(policy.routes, start.routes, strict=True)
                    if dict(new.shares) != dict(old.shares)
                )
                return f"recommended[{name!a}].policy{changed}"
    match policy:
        case BaselinePolicy():
            return "pt.BaselinePolicy()"
        case UniformPolicy(over):
            return f"pt.UniformPolicy({tuple(over)!a})"
        case MixPolicy(shares, rule, otherwise):
            mix = "None" if otherwise is None else _mix(otherwise)
            return f"pt.MixPolicy({_mix(shares)}, {_rule_object(rule)}, {mix})"
        case TreePolicy(routes, otherwise, allocation, dropped):
            written = "".join(
                f"pt.contracts.Route({r.segment!a}, {_rule_object(r.rule)}, {_mix(r.shares)}), "
                for r in routes
            )
            gone = "".join(
                f"pt.contracts.DroppedArm({d.arm!a}, {d.since_round}, {d.reason!a}, {d.by!a}), "
                for d in dropped
            )
            return f"pt.TreePolicy(({written}), {_mix(otherwise)}, {allocation!a}, ({gone}))"


def _same_segments(policy: TreePolicy, other: Policy) -> TreePolicy | None:
    """The other one, if the two differ in their segments' shares alone."""
    if not isinstance(other, TreePolicy):
        return None
    same = (
        [(r.segment, r.rule) for r in policy.routes] == [(r.segment, r.rule) for r in other.routes]
        and len({r.segment for r in policy.routes}) == len(policy.routes)
        and dict(policy.otherwise) == dict(other.otherwise)
        and (policy.allocation, policy.dropped) == (other.allocation, other.dropped)
    )
    return other if same else None


def _mix(shares: Mapping[str, float]) -> str:
    return "{" + ", ".join(f"{arm!a}: {float(share)!r}" for arm, share in shares.items()) + "}"


def _rule(rule: Rule) -> str:
    """A rule as text where that says it exactly, and as an object otherwise."""
    try:
        exact = Rule.parse(str(rule)) == rule
    except DesignError:
        exact = False
    return ascii(str(rule)) if exact else _rule_object(rule)


def _rule_object(rule: Rule) -> str:
    clauses = []
    for c in rule.clauses:
        missing = ", includes_missing=True" if c.includes_missing else ""
        if isinstance(c, Threshold):
            clauses.append(f"pt.Threshold({c.feature!a}, {c.side!a}, {float(c.cut)!r}{missing})")
        else:
            clauses.append(f"pt.Levels({c.feature!a}, {tuple(c.levels)!a}{missing})")
    return f"pt.Rule(({''.join(clause + ', ' for clause in clauses)}))"
