"""What a run was made with, and the memory it took."""

import os

import numpy as np
import pytest

from hf_mer.training.environment import environment, peak_memory_mib, reset_peak_memory


def test_environment_and_memory():
    found = environment(2)
    assert found["processes"] == 2
    assert set(found["versions"]) == {"hf_mer", "torch", "transformers", "datasets", "accelerate"}
    assert peak_memory_mib()["host"] > 50


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="the peak cannot be counted anew")
def test_the_peak_of_a_fold_is_not_that_of_the_one_before():
    reset_peak_memory()
    before = peak_memory_mib()["host"]
    large = np.ones(100 * 2**20, dtype=np.uint8)
    assert peak_memory_mib()["host"] > before + 80
    del large
    assert peak_memory_mib()["host"] > before + 80
    reset_peak_memory()
    assert peak_memory_mib()["host"] < before + 40
