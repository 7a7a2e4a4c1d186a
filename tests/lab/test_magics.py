"""``%pytyche`` in a real IPython shell; fits are replaced, they have tests of their own."""

import warnings
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell
from rounds import ARMS, finished_round, plan

import pytyche_lab as pt
from pytyche_engine.allocation import ExplicitSchedule, FixedSchedule, GeometricSchedule
from pytyche_engine.contracts.errors import DataError, DesignError, FitCancelled
from pytyche_engine.contracts.observations import ColumnMapping
from pytyche_engine.contracts.plans import Plan
from pytyche_engine.experiment.round import Round
from pytyche_lab import commands, extension
from pytyche_lab.experiments import sequential_experiment as real_experiment
from pytyche_lab.magics import PytycheMagics
from pytyche_lab.widgets import CellPlan, RoundDashboard

YAML = """
treatments: [control, low_promo, free_ship]
schedule: {initial: 500, growth: 3, rounds: 2}
source: {template: clustered_realistic, effect_scale: 0.1, seed: 9}
min_control_weight: 0.1
"""
TOML = """
treatments = ["control", "low_promo", "free_ship"]
schedule = [500, 700]
currency = "€"
[columns]
arm = "segment"
ignore = ["history"]
"""


class FakeExperiment:
    """Has rounds without fits."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.name = settings["name"]
        self.history: tuple[Round, ...] = ()
        self.confidence = "low"
        self.seen: list[object] = []
        self.fails_with: Exception | None = None

    @property
    def plan(self) -> Plan:
        return plan(len(self.history))

    def __next__(self) -> Round:
        if self.fails_with is not None:
            raise self.fails_with
        if len(self.history) == 3:
            raise StopIteration
        self.history += (finished_round(len(self.history)),)
        return self.history[-1]

    def dashboard(self, number: int | None = None) -> RoundDashboard:
        shown = number or len(self.history)
        return RoundDashboard(self.history[shown - 1], self.history[: shown - 1])

    def observe(self, frame: pd.DataFrame) -> Round:
        self.seen.append(frame)
        return next(self)


@pytest.fixture
def shell(ipython: InteractiveShell, monkeypatch: pytest.MonkeyPatch) -> InteractiveShell:
    fakes = {
        "sequential_experiment": lambda **settings: FakeExperiment(settings),
        "simulated_experiment_generator": lambda **settings: SimpleNamespace(**settings),
        "replay": lambda frame, **settings: SimpleNamespace(frame=frame, **settings),
        "GeometricSchedule": GeometricSchedule,
        "FixedSchedule": FixedSchedule,
        "ExplicitSchedule": ExplicitSchedule,
    }
    for name, fake in fakes.items():
        monkeypatch.setattr(pt, name, fake, raising=False)
    extension.load_ipython_extension(ipython)
    return ipython


def run(shell: InteractiveShell, code: str) -> Any:
    outcome = shell.run_cell(code)
    outcome.raise_error()
    return outcome.result


def one_line(shell: InteractiveShell, capsys: pytest.CaptureFixture[str], code: str) -> str:
    """The one line that a wrong command prints."""
    capsys.readouterr()
    assert shell.run_cell(code).error_in_exec is not None
    printed = "".join(capsys.readouterr())
    assert "Traceback" not in printed
    lines = printed.strip().splitlines()
    assert len(lines) == 1, printed
    assert lines[0].startswith("UsageError: ")
    return lines[0].removeprefix("UsageError: ")


def test_edit_opens_the_editor_of_the_next_plan(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    magics = shell.magics_manager.registry["PytycheMagics"]
    magics.experiments["real"] = real_experiment(schedule=[100], treatments=ARMS, name="real")
    editor = run(shell, "%pytyche edit real")
    assert isinstance(editor, CellPlan)
    assert editor.draft is magics.experiments["real"].draft
    assert "There is no experiment" in one_line(shell, capsys, "%pytyche edit nobody")


def test_from_new_to_the_dashboard(shell: InteractiveShell) -> None:
    assert run(shell, "%pytyche new demo") == plan()
    experiment = shell.user_ns["demo"]
    assert experiment.settings["treatments"] == list(ARMS)
    assert experiment.settings["generator"].template == "clustered_realistic"
    assert run(shell, "%pytyche plan demo") == plan()
    first = run(shell, "%pytyche advance demo")
    assert isinstance(first, Round)
    run(shell, "%pytyche advance demo")
    shown = run(shell, "%pytyche show demo")
    assert repr(finished_round(1)) in repr(shown)
    assert repr(first) in repr(run(shell, "%pytyche show demo --round 1"))


def test_options_override_the_starter(shell: InteractiveShell) -> None:
    run(
        shell,
        '%pytyche new demo --treatments control "50% off" --initial 100 --rounds 4 '
        "--effect-scale 0.1 --seed 7",
    )
    settings = shell.user_ns["demo"].settings
    assert settings["treatments"] == ["control", "50% off"]
    assert settings["schedule"] == GeometricSchedule(100, 2.0, 4)
    assert settings["generator"].effect_scale == 0.1
    assert settings["generator"].K == 2
    assert settings["seed"] == 7


def test_a_yaml_body(shell: InteractiveShell) -> None:
    run(shell, f"%%pytyche new demo --rounds 3\n{YAML}")
    settings = shell.user_ns["demo"].settings
    assert settings["schedule"] == GeometricSchedule(500, 3, 3)
    assert settings["generator"].seed == 9
    assert settings["min_control_weight"] == 0.1


def test_a_toml_body(shell: InteractiveShell) -> None:
    run(shell, f"%%pytyche new demo\n{TOML}")
    settings = shell.user_ns["demo"].settings
    assert settings["schedule"] == ExplicitSchedule([500, 700])
    assert settings["generator"] is None
    assert settings["currency"] == "€"
    assert settings["columns"] == ColumnMapping(arm="segment", ignore=("history",))


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "parquet"])
def test_a_logged_trial_is_replayed(shell: InteractiveShell, tmp_path: Any, suffix: str) -> None:
    frame = pd.DataFrame({"arm": ["control", "promo"], "spend": [0.0, 2.5]})
    path = tmp_path / f"trial.{suffix}"
    frame.to_parquet(path) if suffix == "parquet" else frame.to_csv(path, index=False)
    source = f"{{file: '{path}', revenue: spend}}"
    body = f"treatments: [control, promo]\nschedule: [2]\nseed: 3\nsource: {source}"
    run(shell, f"%%pytyche new demo\n{body}")
    source = shell.user_ns["demo"].settings["generator"]
    pd.testing.assert_frame_equal(source.frame, frame)
    assert (source.arm, source.revenue, source.seed) == ("arm", "spend", 3)
    assert source.arms == ["control", "promo"]


def test_a_round_from_a_frame_of_the_notebook(shell: InteractiveShell) -> None:
    run(shell, f"%%pytyche new demo\n{TOML}")
    shell.user_ns["march"] = frame = pd.DataFrame({"a": [1]})
    assert isinstance(run(shell, "%pytyche advance demo --data march"), Round)
    assert shell.user_ns["demo"].seen == [frame]


def test_status_is_a_row_an_experiment(shell: InteractiveShell) -> None:
    assert "no experiment yet" in repr(run(shell, "%pytyche status"))
    run(shell, "%pytyche new one")
    run(shell, "%pytyche new two")
    run(shell, "%pytyche advance two")
    assert [row[:3] for row in run(shell, "%pytyche status").table.rows] == [
        ("one", "0", "0"),
        ("two", "1 of 3", "100"),
    ]
    (row,) = run(shell, "%pytyche status two").table.rows
    assert "SHIP low_promo (uncalibrated)" in row


def test_check_and_help(shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pt, "check_setup", lambda: "report", raising=False)
    assert run(shell, "%pytyche check") == "report"
    for line in ("%pytyche help", "%pytyche", "%pytyche --help"):
        text = repr(run(shell, line))
        assert all(f"%pytyche {word}" in text for word in commands.COMMANDS)
        assert "--effect-scale" in text


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("%pytyche launch demo", "invalid choice: 'launch'"),
        ("%pytyche plan", "the following arguments are required: name"),
        ("%pytyche plan nobody", "There is no experiment 'nobody'. Known: none yet"),
        ("%pytyche new demo --initial many", "invalid int value: 'many'"),
        ("%pytyche new 'my demo'", "'my demo' cannot be a variable's name"),
        ("%pytyche new class", "'class' cannot be a variable's name"),
        ("%pytyche new 'demo", "No closing quotation"),
        ("%pytyche new taken", "'taken' exists already"),
        ("%%pytyche plan demo\nx: 1", "takes a body for 'new' only"),
        ("%%pytyche new demo\nhello", "must be lines such as"),
        ("%%pytyche new demo\na: [1", "cannot be read as YAML"),
        ("%%pytyche new demo\na = [1", "cannot be read as TOML"),
        ("%%pytyche new demo\ntreatment: [a]", "Unknown setting: treatment. Known: treatments"),
        ("%%pytyche new demo\ntreatments: a", "'treatments' must be a list"),
        ("%%pytyche new demo\ntreatments: [a, b]", "'schedule' is missing"),
        ("%%pytyche new d\ntreatments: [a, b]\nschedule: {rounds: 2}", "needs 'initial' or"),
        ("%%pytyche new d\ntreatments: [a, b]\nschedule: [5]\nsource: {}", "either 'template'"),
        (
            "%%pytyche new d\ntreatments: [a, b]\nschedule: [5]\nsource: {file: no.csv}",
            "'no.csv' cannot be read: No such file",
        ),
        (
            "%%pytyche new d\ntreatments: [a, b]\nschedule: [5]\nsource: {file: no.xls}",
            "must be a .csv",
        ),
        (
            "%%pytyche new d\ntreatments: [a, b]\nschedule: [5]\ncolumns: {money: x}",
            "Unknown entry of 'columns': money",
        ),
        ("%%pytyche new d --rounds 2\ntreatments: [a, b]\nschedule: [5]", "in another form"),
    ],
)
def test_a_wrong_command_is_one_line(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str], code: str, words: str
) -> None:
    shell.user_ns["taken"] = 1
    assert words in one_line(shell, capsys, code)


@pytest.mark.parametrize(
    "error",
    [
        DataError("Revenue has\nNaN", column="revenue", rows=[3], mend="Fill it."),
        DesignError("The schedule is wrong."),
        FitCancelled("The fit was cancelled."),
    ],
)
def test_what_the_engine_reports_is_one_line(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    run(shell, "%pytyche new demo")
    shell.user_ns["demo"].fails_with = error
    assert " ".join(str(error).split()) == one_line(shell, capsys, "%pytyche advance demo")


def test_a_fault_keeps_its_traceback(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    run(shell, "%pytyche new demo")
    shell.user_ns["demo"].fails_with = ZeroDivisionError("a fault")
    shell.run_cell("%pytyche advance demo")
    assert "Traceback" in "".join(capsys.readouterr())


def test_rounds_that_do_not_exist(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    run(shell, "%pytyche new demo")
    assert "no finished round yet" in one_line(shell, capsys, "%pytyche show demo")
    for _ in range(3):
        run(shell, "%pytyche advance demo")
    assert "schedule is exhausted" in one_line(shell, capsys, "%pytyche advance demo")
    assert "no data frame" in one_line(shell, capsys, "%pytyche advance demo --data march")


def test_replace(shell: InteractiveShell) -> None:
    run(shell, "%pytyche new demo")
    before = shell.user_ns["demo"]
    run(shell, "%pytyche new demo --replace")
    assert shell.user_ns["demo"] is not before


def completed(shell: InteractiveShell, text: str) -> set[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # IPython calls its own completions provisional
        return {c.text for c in shell.Completer.completions(text, len(text))}


def test_completions(shell: InteractiveShell) -> None:
    run(shell, "%pytyche new demo")
    shell.user_ns["march"] = pd.DataFrame()
    assert completed(shell, "%pytyche ") == set(commands.COMMANDS)
    assert completed(shell, "x = 1\n%pytyche st") == {"status", "stop"}
    assert completed(shell, "%pytyche advance ") == {"demo"}
    assert completed(shell, "%pytyche show demo --") == {"--round"}
    assert completed(shell, "%pytyche advance demo --data ma") == {"march"}
    assert completed(shell, "%%pytyche n") == {"new"}
    assert "march" in completed(shell, "mar")


def test_a_reload_leaves_one_magic_and_one_matcher(shell: InteractiveShell) -> None:
    extension.unload_ipython_extension(shell)
    assert "pytyche" not in shell.magics_manager.magics["line"]
    extension.load_ipython_extension(shell)
    names = [m.__name__ for m in shell.Completer.custom_matchers]
    assert names.count("pytyche_matcher") == 1
    registered = shell.magics_manager.registry["PytycheMagics"]
    assert isinstance(registered, PytycheMagics)
