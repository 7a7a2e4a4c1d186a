"""A real fit that is too short to converge: the label comes from the fit, not from a test."""

from experiment_cases import finished


def test_a_round_hands_its_convergence_to_all_that_it_made():
    done = finished().latest
    assert not done.analysis.converged  # 60 draws cannot
    assert done.analysis.segments
    assert not any(s.converged for s in done.analysis.segments)
    assert not done.truth_comparison.converged
    tables = (done.cell_table(), done.analysis.comparison_table(), done.analysis.segment_table())
    for table in tables:
        assert table.text().startswith("unconverged: ")
        assert ">unconverged: " in table.html()
    assert done.truth_line().endswith("(unconverged)")
