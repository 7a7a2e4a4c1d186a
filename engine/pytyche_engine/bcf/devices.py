"""Which devices a chain runs on."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Lock

import jax
import numpy as np
from jax.sharding import AxisType, Mesh

from pytyche_engine.contracts.errors import FitError

_locks: dict[int, Lock] = {}


def place(chain: int, num_data_devices: int) -> Mesh | None:
    """The devices of a chain, as a mesh with one axis ``data``; None where JAX has one only.

    Chains are dealt out to groups of ``num_data_devices`` devices.

    Raises:
        FitError: if there are fewer devices than that, or it is below 1.
    """
    devices = jax.devices()
    groups = len(devices) // num_data_devices if num_data_devices > 0 else 0
    if groups == 0:
        raise FitError(
            f"num_data_devices={num_data_devices}, but JAX sees {len(devices)} device(s); use "
            f"1 to {len(devices)}."
        )
    if len(devices) == 1:
        return None
    first = chain % groups * num_data_devices
    return Mesh(
        np.array(devices[first : first + num_data_devices]),
        ("data",),
        axis_types=(AxisType.Auto,),
    )


@contextmanager
def claim(mesh: Mesh | None) -> Iterator[None]:
    """Hold a mesh's devices, so that no other chain's sweeps run on any of them.

    Devices of a mesh wait for one another in every sum over them. Two threads that start such
    programs on the same devices may do so in another order on each, and wait for ever. Without
    a mesh nothing waits and nothing is held.
    """
    with ExitStack() as held:
        if mesh is not None:
            # All threads take locks in one order, so that they cannot wait in a ring.
            for device in sorted(device.id for device in mesh.devices.flat):
                held.enter_context(_locks.setdefault(device, Lock()))
        yield
