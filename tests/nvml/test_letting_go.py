"""A driver that is let go of, so that it can be replaced, and taken up again."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_mig import errors
from jupyter_mig.core.geometry import Spec
from jupyter_mig.nvml.driver import Driver, open_driver

NODE = "simulated:1xA100-SXM4-40GB?time_scale=0"


def test_let_go_it_answers_nothing_and_taken_up_it_is_as_before(tmp_path: Path) -> None:
    """Instances are still there; doing either twice is harmless, and so is closing meanwhile."""
    driver = open_driver(NODE, tmp_path / "silicon.json")
    assert isinstance(driver, Driver)
    (gpu,) = driver.gpus()
    made = driver.create(Spec(gpu.uuid, gpu.geometry.by_name["1g.5gb"].profile_id, 0))
    for _ in range(2):
        driver.let_go()
        with pytest.raises(errors.NoDriver):
            driver.gpus()
        with pytest.raises(errors.NoDriver):
            driver.instances(gpu.uuid)
    for _ in range(2):
        driver.take_up()
        assert driver.gpus() == (gpu,)
        assert [each.identity for each in driver.instances(gpu.uuid)] == [made]
    driver.let_go()
    driver.close()
    with pytest.raises(errors.NoDriver):
        driver.gpus()
