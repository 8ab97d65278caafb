"""Listrak to Segment bridge: every Listrak email event and list subscription, in Segment, once."""

NAME = "listrak-segment-bridge"
VERSION = "0.1.0"
