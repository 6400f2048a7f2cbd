"""Views read only: journal and files become records, records become text and pages."""
