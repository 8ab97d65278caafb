"""All targets, by name."""

from typing import Final

from fuzz.answers import ListrakAnswers, SegmentAnswers, TokenAnswers
from fuzz.local import Credentials, Environment, Proxies, Requests
from fuzz.network import Connections
from fuzz.state_files import StateFiles, StateRows
from fuzz.target import Target

TARGETS: Final[dict[str, Target]] = {
    target.name: target
    for target in (
        *(ListrakAnswers(), TokenAnswers(), SegmentAnswers(), Connections()),
        *(Environment(), Proxies(), Credentials(), Requests(), StateFiles(), StateRows()),
    )
}
