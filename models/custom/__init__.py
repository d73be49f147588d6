"""Networks of others: a function that returns one, and no description of its operators."""
