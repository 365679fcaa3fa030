"""Every SQL statement about annotations: `rows` changes them, `lists` finds many, `history` what they were."""
