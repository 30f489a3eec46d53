"""Each error code: provoked, its remedy applied, and seen to work."""
