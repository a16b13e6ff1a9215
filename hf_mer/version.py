"""The version of the package, in the one place that the build, the tests and `hf_mer.__version__` read."""

__version__ = "0.1.0"
