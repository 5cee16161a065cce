"""Statistics over seeds. intervals: Student's, of means. fits: lines, power laws. breaking: when units come apart."""
