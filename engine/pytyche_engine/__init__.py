"""The engine of pytyche-lab: multi-round A/B/n experiments on zero-inflated money outcomes.

Pure Python on JAX. It knows nothing of notebooks; ``pytyche_lab`` builds on it.
"""
