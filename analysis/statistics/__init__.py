"""Statistics over seeds. intervals: bootstrap of means. fits: lines and power laws. breaking: when units come apart."""
