"""The CAM methods: `registry.py` lists them, `one_pass.py` and `several_passes.py` hold their
formulas."""
