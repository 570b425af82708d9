"""No byte of a secret in anything that a build leaves behind or says."""
