"""The features that the boost goes by, see the table in `boost.py`: compiled."""

from __future__ import annotations

import numpy as np

from ..compute.jit import compiled
from .boost import (
    AFTER_SHARE,
    DIRECT_VOTES,
    EARLIER_SHARE,
    GROUPS,
    IS_RECENT,
    ITEM_FACT,
    LIKES_GROUP,
    LIKES_SAY,
    MIXTURE_SAYS,
    NETWORK_SAYS,
    OWN_GROUP,
    OWN_SAYS,
    RECENT_SAYS,
    SOME,
    VOTES,
    BoostedItems,
    Single,
    logarithms,
)
from .layout import (
    CLICK_COUNT,
    CLICKS_SINCE_FIRST,
    CLICKS_SINCE_LAST,
    ITEM_FACTS,
    SECONDS_SINCE_FIRST,
    SECONDS_SINCE_LAST,
    SESSION_FEATURES,
)
from .mixture_parts import (
    COUNTED,
    DIRECT,
    FROM_AFTER,
    FROM_EARLIER,
    LIKE,
    NETWORK,
    OWN_PART,
    RECENT_PART,
    Moment,
)

LOWEST = np.float32(-100)
LOGARITHMS = (
    (LIKES_SAY, np.float32(0.5), LOWEST),
    (NETWORK_SAYS, np.float32(0.5), np.float32(-12)),
    (RECENT_SAYS, np.float32(0.5), LOWEST),
    (ITEM_FACT + CLICK_COUNT, np.float32(0.5), LOWEST),
    (ITEM_FACT + CLICKS_SINCE_LAST, np.float32(0.3), LOWEST),
    (ITEM_FACT + CLICKS_SINCE_FIRST, np.float32(0.3), LOWEST),
    (ITEM_FACT + SECONDS_SINCE_LAST, np.float32(0.2), LOWEST),
    (ITEM_FACT + SECONDS_SINCE_FIRST, np.float32(0.2), LOWEST),
    (DIRECT_VOTES, np.float32(1), LOWEST),
    (VOTES, np.float32(1), LOWEST),
    (OWN_SAYS, np.float32(0.5), LOWEST),
    (MIXTURE_SAYS, np.float32(0.3), LOWEST),
)
"""Features that are logarithms, with their scales, and the lowest value of the logarithm."""


@compiled
def list_boosted(last: int, count: int, moment: Moment, boosted: BoostedItems) -> None:
    """List the items that have a boost: those with evidence, but for the session's last."""
    part_probs, listed = moment.part_probs, 0
    for group in range(GROUPS):
        for at in range(count):
            own, like = part_probs[OWN_PART, at] > 0, part_probs[LIKE, at] > 0
            if group == OWN_GROUP:
                chosen = own
            elif group == LIKES_GROUP:
                chosen = like and not own
            else:
                chosen = part_probs[RECENT_PART, at] > 0 and not (own or like)
            if chosen and at != last:
                boosted.items[listed] = at
                listed += 1
        boosted.ends[group] = listed


@compiled
def fill_boost_features(
    highest: float, item_facts: Single, moment: Moment, boosted: BoostedItems
) -> None:
    """Fill in the features of the items that have a boost, and those of the session."""
    f, part_probs, like = boosted.features, moment.part_probs, moment.like
    count = boosted.ends[GROUPS - 1]
    for at in range(count):
        item = boosted.items[at]
        by_likes = part_probs[LIKE, item] * moment.totals[LIKE]
        f[LIKES_SAY, at] = _or_one(part_probs[LIKE, item])
        f[NETWORK_SAYS, at] = (part_probs[NETWORK, item] + SOME) / highest
        f[AFTER_SHARE, at] = like[item, FROM_AFTER] / by_likes if by_likes > 0 else 0.0
        f[EARLIER_SHARE, at] = like[item, FROM_EARLIER] / by_likes if by_likes > 0 else 0.0
        f[RECENT_SAYS, at] = _or_one(100 * part_probs[RECENT_PART, item])
        f[IS_RECENT, at] = part_probs[RECENT_PART, item] > 0
        for fact in range(ITEM_FACTS):
            f[ITEM_FACT + fact, at] = 1 + item_facts[item, fact]
        f[DIRECT_VOTES, at] = 1 + like[item, DIRECT]
        f[VOTES, at] = 1 + like[item, COUNTED]
        f[OWN_SAYS, at] = _or_one(part_probs[OWN_PART, item])
        f[MIXTURE_SAYS, at] = moment.mixed[item] + SOME
    for feature, scale, least in LOGARITHMS:
        row = f[feature]
        logarithms(row, boosted.bits, count)
        for at in range(count):
            row[at] = scale * max(row[at], least)
    _fill_moment_features(moment, boosted.moment)


@compiled
def _fill_moment_features(moment: Moment, c: Single) -> None:
    features = moment.features
    c[0], c[1], c[2] = 1, features[2], 0.4 * features[1]
    c[3], c[4], c[5] = (
        0.2 * features[SESSION_FEATURES],
        features[SESSION_FEATURES + 1],
        0.4 * features[SESSION_FEATURES + 2],
    )
    c[6], c[7] = 0.3 * features[SESSION_FEATURES + 3], 0.15 * features[7]
    c[8], c[9] = features[8], 0.4 * features[9]


@compiled
def _or_one(share: float) -> float:
    """Return a share whose logarithm is wanted; 1, so that it becomes 0, where there is none."""
    return share if share > 0 else 1.0
