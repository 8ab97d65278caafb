"""Makes a history with a finding small: whatever can be left out is."""

from collections.abc import Callable, Iterator

from histories.history import Episode, History

Finds = Callable[[History], bool]
"""Tells whether a history still has the finding."""


def shrunk(history: History, finds: Finds) -> History:
    """A small part of a history that has the same finding."""
    smaller = True
    while smaller:
        smaller = False
        for candidate in _candidates(history):
            if finds(candidate):
                history, smaller = candidate, True
                break
    return history


def _candidates(history: History) -> Iterator[History]:
    """Smaller histories, the smallest first."""
    episodes = history.episodes
    for number in range(len(episodes)):
        yield history._replace(episodes=episodes[:number] + episodes[number + 1 :])
    for number, episode in enumerate(episodes):
        for less in _less(episode):
            changed = (*episodes[:number], less, *episodes[number + 1 :])
            yield history._replace(episodes=changed)
    for number in range(len(history.switches)):
        left = history.switches[:number] + history.switches[number + 1 :]
        yield history._replace(switches=left)
    if history.stands:
        yield history._replace(stands=False)


def _less(episode: Episode) -> Iterator[Episode]:
    for number in range(len(episode.troubles)):
        left = episode.troubles[:number] + episode.troubles[number + 1 :]
        yield episode._replace(troubles=left)
    half = len(episode.deeds)
    while half := half // 2:
        for first in range(0, len(episode.deeds), half):
            yield episode._replace(deeds=episode.deeds[:first] + episode.deeds[first + half :])
    if len(episode.deeds) == 1:
        yield episode._replace(deeds=())
    if episode.kind in ("serve", "once", "look") and (episode.ending, episode.turns) != ("stop", 0):
        yield episode._replace(ending="stop", turns=0, arrivals=("", 0))
    for number in range(len(episode.settings)):
        left_over = episode.settings[:number] + episode.settings[number + 1 :]
        yield episode._replace(settings=left_over)
    for number in range(len(episode.changes)):
        others = episode.changes[:number] + episode.changes[number + 1 :]
        yield episode._replace(changes=others)
    if episode.kind == "look" and episode.minutes:
        # A quiet one.
        yield episode._replace(minutes=0, troubles=(), ending="stop", turns=0, arrivals=("", 0))
