"""Models that users bring: an organization's or a namespace's, deployed where they may be used. Read service/ next."""
