"""Every SQL statement about batches: `batches` the records, `chunks` the work, `ledger` what became of it."""
