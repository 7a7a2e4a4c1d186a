"""Whatever number, text or request comes: a finite result, or an error of the package's own.

PYTYCHE_EXAMPLES=5000 looks further than the fixed examples of every run.
"""

import json
import math

import numpy as np
import pytest
from door_cases import ARMS, good_round, plan
from hypothesis import given
from hypothesis import strategies as st
from strange import nested, one_value, strange_floats, strange_integers, strange_texts
from test_strange_frames import refused

from pytyche_engine.allocation import FixedSchedule, Floors, GeometricSchedule, edit
from pytyche_engine.calibration import Scenario, SweepDesign
from pytyche_engine.classic import plan_means, plan_rates, run_all_arms
from pytyche_engine.classic.setup import setup_counts
from pytyche_engine.contracts import Rule, hypothesis_cell
from pytyche_engine.contracts.plans import plan_from_dict, plan_to_dict
from pytyche_engine.rehearsal import n_for_power
from pytyche_engine.sources import simulated_experiment_generator
from pytyche_engine.store.records import ExperimentDraft, VariantDraft
from pytyche_engine.store.registry import Registry
from pytyche_lab import recipe
from pytyche_lab.server.routes import ROUTES, Request, answer
from pytyche_lab.server.shapes import PARQUET

numbers = strange_floats | strange_integers | st.floats(0, 1) | st.floats(0, 100)
values = numbers | one_value
JSON = st.recursive(
    st.none() | st.booleans() | strange_integers | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["name", "variants", "traffic_weight", "rows", "counts", "variant", "value",
                         "exposures", "conversions", "control", "badge", "statistics", "total",
                         "total_squares", "alpha", "floor", "planned_visitors", "pre_value",
                         "bandit_enabled", "metric", "visitor_id", "note"]) | st.text(max_size=3),
        inner, max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@given(
    rate=numbers, order=numbers, conversion_lift=numbers, order_lift=numbers,
    sigma=numbers, arms=st.integers(-1, 5) | values, share=st.none() | numbers,
    power=numbers | st.just(0.8), alpha=numbers | st.just(0.05),
)  # fmt: skip
def test_n_for_power(rate, order, conversion_lift, order_lift, sigma, arms, share, power, alpha):
    found = refused(
        n_for_power, rate, order, conversion_lift=conversion_lift, order_lift=order_lift,
        order_sigma=sigma, n_arms=arms, control_share=share, power=power, alpha=alpha,
    )  # fmt: skip
    if found is not None:
        assert found.n_visitors > 0
        assert math.isfinite(found.lift)
        repr(found)


@given(sd=numbers, effect=numbers, correlation=numbers, alpha=numbers, share=numbers, n=numbers)
def test_classical_power(sd, effect, correlation, alpha, share, n):
    found = refused(plan_means, sd, correlation=correlation, alpha=alpha, treatment_share=share)
    rates = refused(plan_rates, sd, effect, alpha=alpha, treatment_share=share)
    for one in (found, rates):
        if one is not None:
            needed = refused(one.visitors, effect)
            assert needed is None or needed >= 0
            power = refused(one.power, effect, n)
            assert power is None or 0 <= power <= 1
            mde = refused(one.mde, n)
            assert mde is None or mde >= 0


@given(
    settings=st.fixed_dictionaries(
        {},
        optional={
            "effect_scale": values, "baseline_rate": values, "baseline_severity": values,
            "severity_sigma": values, "n_nuisance": st.integers(-1, 3) | one_value,
            "seed": values, "K": st.integers(-1, 5) | one_value, "template": values,
            "channel_mode": values, "metric": values, "treatment_names": st.lists(strange_texts),
        },
    )
)  # fmt: skip
def test_simulated_sources(settings):
    source = refused(simulated_experiment_generator, **settings)
    if source is not None and source.arms == ARMS:
        frame, _ = source(0, plan(20))
        assert np.isfinite(frame["revenue"]).all()


@given(initial=values, growth=values, rounds=st.none() | values, index=st.integers(0, 2000))
def test_schedules(initial, growth, rounds, index):
    for made in (
        refused(GeometricSchedule, initial, growth, rounds),
        refused(FixedSchedule, initial, rounds),
    ):
        size = None if made is None else refused(made.next_round_size, index)
        assert size is None or size > 0


@given(
    visitors=values, arms=st.integers(-1, 4) | values, rate=values, order=values, sigma=values,
    scale=values,
)  # fmt: skip
def test_calibration_designs(visitors, arms, rate, order, sigma, scale):
    design = refused(
        SweepDesign, visitors, arms, conversion_rate=rate, order_value=order, order_sigma=sigma
    )
    if design is not None and isinstance(arms, int) and arms < 5:
        refused(Scenario("sparse_benefit", scale).source, design, 1)


@given(
    text=strange_texts
    | st.text(max_size=30)
    | st.from_regex(r"[a-c ]+ (>|<=|==|in) .*", fullmatch=True)
)
def test_rules(text):
    rule = refused(Rule.parse, text)
    if rule is not None:
        assert Rule.parse(str(rule)).to_dict().keys() == rule.to_dict().keys()
        refused(rule.matches, good_round(5))
        refused(rule.to_sql)
        refused(rule.to_python)


@given(
    name=values, rule=values | strange_texts,
    arms=nested | st.dictionaries(st.sampled_from(ARMS), numbers),
    weight=values, otherwise=st.none() | nested, number=values,
)  # fmt: skip
def test_cells_and_plan_edits(name, rule, arms, weight, otherwise, number):
    base, floors = plan(), Floors(0.05, 0.05)
    cell = refused(hypothesis_cell, name, rule, arms, weight, otherwise=otherwise)
    edited = [
        refused(edit.with_weight, base, name, number, floors),
        refused(edit.with_weight, base, "explore", number, floors),
        refused(edit.without_cell, base, name, floors),
        refused(edit.renamed, base, "explore", name),
        refused(edit.with_shares, base, "explore", arms),
    ]
    if cell is not None:
        made = refused(edit.with_new_cell, base, cell, floors)
        edited.append(made)
        if made is not None:
            edited.append(refused(edit.renamed, made, cell.id, name))
            edited.append(refused(edit.with_shares, made, cell.id, arms))
            share = refused(edit.with_share, cell.policy.shares, "a", number)
            assert share is None or all(map(math.isfinite, share.values()))
    for one in edited:
        if one is not None:
            assert abs(sum(c.weight for c in one.cells) - 1) < 1e-6
            again = plan_from_dict(json.loads(json.dumps(plan_to_dict(one))))
            assert plan_to_dict(again) == plan_to_dict(one)


@given(
    visitors=st.dictionaries(st.sampled_from(ARMS), values, max_size=3),
    counts=st.dictionaries(st.sampled_from(ARMS), values, max_size=3),
    shares=st.none() | st.dictionaries(st.sampled_from(ARMS), values, max_size=3),
)
def test_classical_counts(visitors, counts, shares):
    found = refused(setup_counts, visitors, {"converted": counts}, shares=shares)
    result = None if found is None else refused(run_all_arms, found)
    if result is not None:
        repr(result), result.to_json()


KEYS = st.sampled_from(
    ["treatments", "schedule", "source", "columns", "seed", "metric", "currency", "refunds",
     "allocation", "min_control_weight", "max_segment_depth", "min_segment_share", "calibration",
     "visitors_per_year"]
)  # fmt: skip


# What YAML and TOML can hold.
plain = JSON | strange_texts | st.dates() | st.datetimes() | st.binary(max_size=3)


@given(
    extra=st.dictionaries(
        KEYS,
        plain
        | st.fixed_dictionaries({"template": plain, "effect_scale": plain})
        | st.fixed_dictionaries({"initial": plain, "growth": plain, "rounds": plain})
        | st.fixed_dictionaries({"visitor": plain, "arm": plain, "propensity": plain})
        | st.fixed_dictionaries({"file": plain, "arm": plain}),
        max_size=3,
    ),
    complete=st.booleans(),
)
def test_recipes(extra, complete):
    good = {"treatments": list(ARMS), "schedule": [100, 200]} if complete else {}
    refused(recipe.make, {**good, **extra}, "promo")


@given(text=st.text() | st.text(alphabet="treatments:=[]{},&*!#|>-%@`\"'\n \t01", max_size=40))
def test_recipes_as_text(text):
    found = refused(recipe.read, text)
    assert found is None or isinstance(found, dict)


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    folder = tmp_path_factory.mktemp("registry")
    return Registry(f"sqlite:///{folder}/registry.sqlite", folder)


@pytest.fixture(scope="module")
def ids(registry):
    two = (VariantDraft("control", 0.5), VariantDraft("badge", 0.5))
    drafts = [
        ExperimentDraft("draft", variants=two),
        ExperimentDraft("fixed", variants=two),
        ExperimentDraft("money", metric="revenue", variants=two),
        ExperimentDraft("bandit", type="bandit", variants=two),
    ]
    made = [registry.create(draft, "test").id for draft in drafts]
    for experiment_id in made[1:]:
        registry.launch(experiment_id, "test")
    return [*made, "nowhere", "..", "%00", "a" * 300]


@given(
    route=st.sampled_from(ROUTES),
    which=st.integers(0, 7),
    body=JSON.map(lambda v: json.dumps(v).encode()) | st.binary(max_size=60),
    query=st.dictionaries(
        st.sampled_from(["project_id", "status", "search", "limit", "offset"]),
        st.text(max_size=6) | st.sampled_from(["default", "running", "٣", "-1", "1" * 11]),
        max_size=3,
    ),
    kind=st.sampled_from(["application/json", "application/json", PARQUET, "text/html"]),
    key=st.none() | st.text(max_size=5),
)
def test_requests(registry, ids, route, which, body, query, kind, key):
    path = route.path.replace("{id}", ids[which])
    asked = Request(route.method, path, "me", query, body, kind, key)
    if route.method == "DELETE" and which == 0:
        return
    given_back = answer(registry, asked)
    assert given_back.status in (200, 201, 204, 400, 404, 405, 409, 413, 422)
    json.dumps(given_back.content, allow_nan=False).encode()


ROW = st.dictionaries(
    st.sampled_from(["variant", "value", "pre_value", "visitor_id"]), JSON, max_size=4
)
SUMS = st.dictionaries(
    st.sampled_from(["exposures", "conversions", "total", "total_squares", "pre_total"]),
    st.integers(0, 2**70) | st.floats(),
    max_size=4,
)


@given(
    row=st.lists(ROW, min_size=1, max_size=4),
    counts=st.dictionaries(st.sampled_from(["control", "badge", "x"]), SUMS),
    which=st.integers(0, 3),
)
def test_deliveries(registry, ids, row, counts, which):
    for body in ({"rows": row}, {"counts": counts}, {"statistics": counts}):
        path = f"/v1/admin/experiments/{ids[which]}/observations"
        said = answer(registry, Request("POST", path, "me", {}, json.dumps(body).encode()))
        assert said.status in (201, 400, 409, 422), said
        json.dumps(said.content, allow_nan=False).encode()
