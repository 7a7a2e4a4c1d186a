"""Segments: doubly robust scores, exact policy trees, and what targeting them is worth."""

from pytyche_engine.segments.described import best_probabilities as best_probabilities
from pytyche_engine.segments.described import describe_everyone as describe_everyone
from pytyche_engine.segments.discover import discover_segments as discover_segments
from pytyche_engine.segments.followed import follow_segments as follow_segments
from pytyche_engine.segments.honest import held_out_lift as held_out_lift
from pytyche_engine.segments.scores import AipwContrast as AipwContrast
from pytyche_engine.segments.scores import aipw_contrast as aipw_contrast
from pytyche_engine.segments.scores import doubly_robust_scores as doubly_robust_scores
from pytyche_engine.segments.tree import PolicyTree as PolicyTree
from pytyche_engine.segments.tree import fit_policy_tree as fit_policy_tree
