"""What routes share: the caller, bodies, answers, errors, paging."""
