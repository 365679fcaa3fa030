"""Compute on a Ray cluster.

adapter.py   RayCompute, the port: gives calls to a bridge, and starts a new one when that died
bridge.py    the process that is Ray's driver; Ray ends its driver when a cluster dies, so it is not ours
pool.py      the actors of one bridge: one call at a time in each, each for one group of calls
actor.py     what runs on a node
carrying.py  arguments with the files they name, and those files on nodes that do not have them
wire.py      what adapter and bridge tell each other
place.py     addresses, and whether a cluster listens there
"""

from prismhouse.storage.compute.ray.adapter import RayCompute
from prismhouse.storage.compute.ray.place import RayAddressRefused, check_address

__all__ = ["RayAddressRefused", "RayCompute", "check_address"]
