"""What all reports share: the Jinja2 templates, the plots, the tables, and how figures are written."""
