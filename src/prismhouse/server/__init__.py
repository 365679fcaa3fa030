"""The running program: wiring/ composes, app.py answers, worker.py works, supervisor.py keeps all alive."""
