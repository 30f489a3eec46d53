"""The account: roles, permissions, quotas and prices."""
