"""Documents become answers: filters, search, fusion, stages."""
