"""Charts, as PNG for MLflow and as inline SVG for pages."""
