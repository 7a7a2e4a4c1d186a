import itertools

import numpy as np
import pandas as pd
import pytest

from pytyche_engine.contracts.observations import Feature, FeatureKind, FeatureSchema
from pytyche_engine.contracts.rule_tree import RuleLeaf, RuleSplit, rule_tree
from pytyche_engine.contracts.rules import Rule
from pytyche_engine.segments.tree import fit_policy_tree


def rules(*texts):
    return [Rule.parse(text) for text in texts]


def leaves(node):
    if isinstance(node, RuleLeaf):
        return [node.index]
    return list(itertools.chain.from_iterable(map(leaves, node.branches)))


def test_one_rule_is_a_leaf():
    assert rule_tree([Rule()]) == RuleLeaf(0)


def test_the_first_question_is_the_root():
    found = rule_tree(
        rules(
            "depth > 4 AND channel in {direct, email}",
            "depth > 4 AND channel == social",
            "depth <= 4 or missing",
        )
    )
    assert found == RuleSplit(
        "depth",
        ("<= 4 or missing", "> 4"),
        (
            RuleLeaf(2),
            RuleSplit("channel", ("direct, email", "social"), (RuleLeaf(0), RuleLeaf(1))),
        ),
    )


def test_a_feature_asked_twice_is_told_apart_by_its_cuts():
    found = rule_tree(rules("age <= 30", "age <= 60 AND age > 30", "age > 60"))
    assert isinstance(found, RuleSplit)
    assert leaves(found) == [0, 1, 2]
    assert found.answers == ("<= 30", "> 30")


def test_levels_that_touch_stay_together():
    found = rule_tree(rules("c in {a, b} AND n > 1", "c in {a, b} AND n <= 1", "c == d"))
    assert isinstance(found, RuleSplit)
    assert found.answers == ("a, b", "d")


def test_rules_of_no_tree_hang_below_one_node():
    found = rule_tree(rules("a > 1", "b > 1", "c == x"))
    assert found == RuleSplit("", ("a > 1", "b > 1", "c == x"), tuple(map(RuleLeaf, range(3))))


@pytest.mark.parametrize("seed", range(6))
def test_a_fitted_tree_is_found_again(seed):
    rng = np.random.default_rng(seed)
    n = 800
    frame = pd.DataFrame(
        {"a": rng.normal(size=n), "b": rng.normal(size=n), "c": rng.choice(["x", "y", "z"], n)}
    )
    schema = FeatureSchema(
        (
            Feature("a", FeatureKind.NUMERIC, "a"),
            Feature("b", FeatureKind.NUMERIC, "b"),
            Feature("c", FeatureKind.CATEGORICAL, "c", ("x", "y", "z")),
        )
    )
    scores = rng.normal(size=(n, 3)) + 2 * np.stack(
        [frame["a"] > 0, (frame["b"] > 0) & (frame["c"] == "x"), frame["c"] == "y"], axis=1
    )
    tree = fit_policy_tree(frame, schema, scores, depth=3, min_segment_share=0.05)
    found = rule_tree([leaf.rule for leaf in tree.leaves])
    assert sorted(leaves(found)) == list(range(len(tree.leaves)))

    def every_question(node):
        if isinstance(node, RuleLeaf):
            return []
        return [node.feature, *itertools.chain.from_iterable(map(every_question, node.branches))]

    assert "" not in every_question(found)
