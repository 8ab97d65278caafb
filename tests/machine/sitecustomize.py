"""Run by each start of Python whose path has this folder: it may go by another clock."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))
import machine_clock

machine_clock.install()
sys.path.pop()
