"""Charts of pages: pure, from series to SVG and tables."""
