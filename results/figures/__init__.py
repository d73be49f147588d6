"""Parts of figures: style, points, labels, panels, and a file for each kind."""
