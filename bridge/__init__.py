"""Listrak to Segment bridge: every Listrak email event and list subscription, in Segment, once."""

from importlib.metadata import version

NAME = "listrak-segment-bridge"
VERSION = version(NAME)
