"""Count-based models: counts, smoothing, tables, ARPA."""
