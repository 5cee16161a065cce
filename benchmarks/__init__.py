"""Side-by-side comparisons with other libraries; see README.md in this folder."""
