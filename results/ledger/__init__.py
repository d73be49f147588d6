"""How the rows of a study lie on disk: whole files, segments, merging, origin."""
