"""Synthetic faces: generated people, photographs and videos with known truth, for tests, demonstrations and benchmarks.

Nothing here is a picture of anybody. Faces are drawn from parameters (who, which action units, pose, light), so that
every box, expression and identity is known exactly. Results on them say how a pipeline works, not how it fares on
people.
"""

from ferbench.datasets.synthetic.dataset import SyntheticFaces
from ferbench.datasets.synthetic.scene import Scene, scene
from ferbench.datasets.synthetic.stream import StreamFrame, synthetic_stream
from ferbench.datasets.synthetic.units import ACTION_UNITS, PROTOTYPES

__all__ = ["ACTION_UNITS", "PROTOTYPES", "Scene", "StreamFrame", "SyntheticFaces", "scene", "synthetic_stream"]
