"""The parts of the command `explain`: persons, emails, and events by their messageId."""
