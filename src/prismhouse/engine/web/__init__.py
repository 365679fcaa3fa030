"""A site, from its first page on: what is fetched, by which rules, and what is read from it.

crawl.py goes from page to page, breadth first; visit.py makes one request as the rules want it (rules.py, robots.py),
address.py says which addresses mean the same page, page.py reads HTML, pictures.py fetches what pages show.
gather.py is the entry point of the processes that do all this: they fetch and parse, and load no model.
"""
