"""Side by side with the peers: one file per question, one table out. Run ``make bench``."""
