"""The running program: wiring.py composes, app.py answers, worker.py works, supervisor.py keeps all alive."""
