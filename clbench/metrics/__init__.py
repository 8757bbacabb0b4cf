"""Numbers computed from matrices and outcomes, each named after its definition."""
