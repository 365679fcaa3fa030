"""Routes that steer batches; the verbs are in `service/control.py`."""
