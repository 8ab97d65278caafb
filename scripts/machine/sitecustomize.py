"""Run by each start of Python whose path has this folder.

It may go by another clock, and tell how many tasks it has.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))
import machine_clock
import task_count

machine_clock.install()
task_count.install()
sys.path.pop()
