"""What an operator decided survives as plain JSON and adds up."""

import json

import pytest

from pytyche_engine.contracts.actions import (
    DropArm,
    ForgetBefore,
    NameSegment,
    RegisterSegment,
    RetireSegment,
    ReviveArm,
    action_from_dict,
    action_to_dict,
    registered_segments,
    remembered_from,
    segment_names,
)
from pytyche_engine.contracts.rules import Levels, Rule, Threshold

RULE = Rule((Threshold("depth", ">", 3.0), Levels("channel", ("e,mail",), includes_missing=True)))
RECORD = (
    NameSegment(1, "S2", "Big <b>spenders</b>"),
    RegisterSegment(1, "R1", "deep", RULE),
    ForgetBefore(3, 2),
    NameSegment(3, "S2", ""),
    RetireSegment(3, "R1"),
    DropArm(3, "free_ship", "out of stock"),
    ReviveArm(4, "free_ship", "back in stock"),
)


@pytest.mark.parametrize("action", RECORD, ids=lambda a: type(a).__name__)
def test_actions_survive_json(action):
    assert action_from_dict(json.loads(json.dumps(action_to_dict(action)))) == action


def test_actions_hold_from_the_round_after_them():
    assert [remembered_from(RECORD, finished) for finished in (0, 2, 3, 9)] == [0, 0, 2, 2]
    followed = [[r.segment for r in registered_segments(RECORD, n)] for n in (0, 1, 2, 3)]
    assert followed == [[], ["R1"], ["R1"], []]


def test_the_last_name_counts_and_an_empty_one_takes_it_back():
    assert segment_names(RECORD[:2]) == {"S2": "Big <b>spenders</b>", "R1": "deep"}
    assert segment_names(RECORD) == {"R1": "deep"}
