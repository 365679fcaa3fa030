"""Where heavy functions run: port.py says what, local.py is a pool of processes, ray/ a Ray cluster."""
