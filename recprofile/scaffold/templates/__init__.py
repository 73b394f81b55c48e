"""One small component per kind, as `recprofile plugins new` writes it into a new package."""
