"""Checks of policy and cause: `off-policy` (what lists would earn) and `uplift` (what a treatment does)."""

from recprofile.builtin.check.off_policy import OffPolicy, OffPolicyParams
from recprofile.builtin.check.uplift import Uplift, UpliftParams

__all__ = ["OffPolicy", "OffPolicyParams", "Uplift", "UpliftParams"]
