"""Statistics over seeds. intervals: Student's, of means. fits: lines and power laws. breaking: when units come apart."""
