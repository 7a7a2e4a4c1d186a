"""Which devices a chain runs on."""

import jax
import numpy as np
from jax.sharding import AxisType, Mesh

from pytyche_engine.contracts.errors import FitError


def place(chain: int, num_data_devices: int) -> Mesh | None:
    """The devices of a chain, as a mesh with one axis ``data``; None where there is one only.

    Chains are dealt out to groups of ``num_data_devices`` devices.

    Raises:
        FitError: if there are fewer devices than that.
    """
    devices = jax.devices()
    groups = len(devices) // num_data_devices
    if groups == 0:
        raise FitError(
            f"num_data_devices={num_data_devices}, but JAX sees {len(devices)} device(s)."
        )
    if len(devices) == 1:
        return None
    first = chain % groups * num_data_devices
    return Mesh(
        np.array(devices[first : first + num_data_devices]),
        ("data",),
        axis_types=(AxisType.Auto,),
    )
