"""Tables of what a study measured and cost, and what is drawn from them. Works without torch."""
