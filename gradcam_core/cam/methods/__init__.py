"""The CAM methods: `registry.py` says which there are, `one_pass.py` and `several_passes.py` have
their formulas."""
