"""What figures are made of: style, points, labels, panels."""
